"""Ray starts where its agents are slow to start, as on a busy machine; without chosen ports it aborts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

SLOW_AGENTS = """
import os, sys, time
with open("/proc/self/cmdline") as file:
    line = file.read()
if "dashboard/agent.py" in line or "runtime_env/agent/main.py" in line:
    time.sleep(40)
"""
"""Longer than Ray's raylet waits for them (15 s) and its start for the raylet (30 s)."""

PROGRAM = """
from pathlib import Path
from plumbline.settings import load_settings
from serving.ray_cluster import private_ray, session_folder

with session_folder() as folder, private_ray(load_settings(), folder):
    import ray

    print("answer", ray.get(ray.remote(lambda: 42).remote()))
"""


@pytest.mark.slow
def test_slow_agents_do_not_end_the_start(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(SLOW_AGENTS)
    path = os.pathsep.join([str(tmp_path), str(REPOSITORY / "platform"), str(REPOSITORY)])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "PYTHONPATH": path, "PLUMBLINE_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "answer 42" in done.stdout
    assert "trying again" not in done.stderr
