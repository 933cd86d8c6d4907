"""The first model of an installation, as the chart's job makes it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Runs a command with `--json`; gives its answer."""

    def answer(*arguments: str, **variables: str) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "plumbline", *arguments, "--json"],
            env={**os.environ, "PLUMBLINE_HOME": str(tmp_path / "home"), **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return answer


def test_the_first_model_is_trained_once_then_features_only(run: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    # As after a run that was killed once the snapshot was written: it is taken up, not made again.
    snapshot = run("data", "ingest", "--generate", "--rows", "1500", "--weeks", "8")["snapshot_id"]
    # A first model is promoted although later ones wait for a person.
    waiting = {"PLUMBLINE_PIPELINES__REQUIRE_APPROVAL": "1", "PLUMBLINE_MODEL__EPOCHS": "3"}
    first = run("cluster", "bootstrap", "--pairs", "100", **waiting)
    assert (first["trained"], first["champion"], first["snapshot_id"]) == (True, "1", snapshot)
    assert len(list((tmp_path / "home" / "objects" / "snapshots").iterdir())) == 1
    again = run("cluster", "bootstrap")
    assert (again["trained"], again["champion"]) == (False, "1")
    assert again["materialised_until"] == first["as_of"]
    assert run("cluster", "wait", "--for", "model", "--timeout", "0")["waited_seconds"].keys() == {"model"}
