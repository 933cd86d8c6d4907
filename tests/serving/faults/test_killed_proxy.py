"""On a Ray cluster Ray's proxy stands in front of the replica. Killed under load it comes back, and nothing is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Installation
from fault_log import require_each_once, shipped, spooled

pytestmark = pytest.mark.slow

_HERE = Path(__file__).parent


def test_a_killed_proxy_comes_back_and_nothing_is_lost(installation: Installation, tmp_path: Path) -> None:
    settings = installation.settings
    before = shipped(settings)
    (tmp_path / "posting.json").write_text(json.dumps(installation.posting))
    names = {name: value for name, value in os.environ.items() if not name.startswith("PLUMBLINE_")}
    done = subprocess.run(
        [sys.executable, str(_HERE / "on_rays_ingress.py"), str(tmp_path / "posting.json")],
        env={
            **names,
            "PYTHONPATH": os.pathsep.join([str(_HERE), str(_HERE.parent)]),
            "PLUMBLINE_HOME": str(settings.home),
            "PLUMBLINE_SERVING__LOG__SEGMENT_SECONDS": "2",
        },
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])  # Ray has its say before it
    assert seen["outcomes"].keys() == {"200", "no answer"}
    assert set(seen["errors"]) <= {
        "BrokenPipeError", "ConnectionRefusedError", "ConnectionResetError", "RemoteDisconnected"
    }  # fmt: skip
    assert not spooled(settings)
    require_each_once(shipped(settings) - before, seen["answered"])
