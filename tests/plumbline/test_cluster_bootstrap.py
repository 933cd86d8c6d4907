"""The first model of an installation, as the chart's job makes it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


class Commands:
    """Runs commands with `--json` on one home."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def call(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "plumbline", *arguments, "--json"],
            env={**os.environ, "PLUMBLINE_HOME": str(self._home), **variables},
            capture_output=True,
            text=True,
            check=False,
        )

    def answer(self, *arguments: str, **variables: str) -> dict[str, Any]:
        done = self.call(*arguments, **variables)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found


def test_the_first_model_is_trained_once_then_features_only(tmp_path: Path) -> None:
    run = Commands(tmp_path / "home")
    # As after a run that was killed once the snapshot was written: it is taken up, not made again.
    snapshot = run.answer("data", "ingest", "--generate", "--rows", "1500", "--weeks", "8")["snapshot_id"]
    # A first model is promoted although later ones wait for a person.
    waiting = {"PLUMBLINE_PIPELINES__REQUIRE_APPROVAL": "1", "PLUMBLINE_MODEL__EPOCHS": "3"}
    slow = {**waiting, "PLUMBLINE_PIPELINES__GATE__MAX_PROCESSOR_MS": "0.000001"}
    for attempt in ("trained and refused", "refused without another training"):
        refused = run.call("cluster", "bootstrap", "--pairs", "100", **slow)
        assert refused.returncode == 3, (attempt, refused.stderr)
        assert "models promote 1 --reason" in refused.stderr.splitlines()[-1]
        assert "ingest" not in refused.stderr.splitlines()[-1]  # no other postings make it faster
    assert len(run.answer("models", "list")["rows"]) == 1

    as_of = "2026-03-01T00:00:00+00:00"
    first = run.answer("cluster", "bootstrap", "--pairs", "100", "--as-of", as_of, **waiting)
    assert (first["trained"], first["champion"], first["snapshot_id"]) == (True, "2", snapshot)
    assert len(list((tmp_path / "home" / "objects" / "snapshots").iterdir())) == 1
    again = run.answer("cluster", "bootstrap")
    assert (again["trained"], again["champion"]) == (False, "2")
    assert first["as_of"] == as_of
    assert again["materialised_until"] == "2026-03-02T00:00:00+00:00"  # the snapshot's end, not the model's
    assert run.answer("cluster", "wait", "--for", "model", "--timeout", "0")["waited_seconds"].keys() == {"model"}
