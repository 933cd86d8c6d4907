"""The spool's disk is full under load. By policy: answers go on, and those without a record are counted; or 503."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from fault_log import require_each_once

_HERE = Path(__file__).parent


def _run(tmp_path: Path, policy: str) -> dict[str, Any]:
    """A small disk is mounted where nobody else sees it: in a mount name space of the process's own."""
    own = ["unshare", "--user", "--map-root-user", "--mount"]
    possible = (
        shutil.which("unshare")
        and subprocess.run([*own, "mount", "-t", "tmpfs", "tmpfs", str(tmp_path)], check=False).returncode == 0
    )
    if not possible:
        pytest.skip("this machine lets nobody mount a disk in a name space of his own")
    done = subprocess.run(
        [*own, sys.executable, str(_HERE / "on_a_small_disk.py"), str(tmp_path / "home"), policy],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(_HERE), str(_HERE.parent)])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_answers_go_on_without_records_and_each_of_those_is_counted(tmp_path: Path) -> None:
    seen = _run(tmp_path, "sample")
    assert seen["before"].keys() == seen["full"].keys() == seen["after"].keys() == {"200"}
    log = Counter(seen["log"])
    missing = set(seen["answered"]) - set(log)
    assert seen["left_out"] == {"write_failed": len(missing)}
    assert len(missing) >= seen["left_out_metric"] > 0
    require_each_once(log, set(seen["answered"]) - missing)
    assert set(log) <= set(seen["answered"])


def test_where_every_answer_needs_its_record_requests_are_refused_and_nothing_is_missing(tmp_path: Path) -> None:
    seen = _run(tmp_path, "refuse")
    assert seen["before"].keys() == seen["after"].keys() == {"200"}
    assert seen["full"].keys() == {"503"}
    assert any("No space left on device" in reason for reason in seen["reasons"])
    assert seen["left_out"] == {}
    log = Counter(seen["log"])
    require_each_once(log, seen["answered"])
    assert set(log) == set(seen["answered"])  # no record of an answer that was not given
