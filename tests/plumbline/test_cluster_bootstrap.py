"""The first model of an installation, as the chart's job makes it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def test_the_first_model_is_trained_once_then_features_only(
    run_plumbline: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    # As after a run that was killed once the snapshot was written: it is taken up, not made again.
    ingested = run_plumbline("data", "ingest", "--generate", "--rows", "2000", "--weeks", "10", "--json")
    snapshot = json.loads(ingested.stdout)["snapshot_id"]
    faster = {"PLUMBLINE_MODEL__EPOCHS": "3"}
    # A first model is promoted although later ones wait for a person.
    first = run_plumbline(
        "cluster", "bootstrap", "--pairs", "50", "--json", env={**faster, "PLUMBLINE_PIPELINES__REQUIRE_APPROVAL": "1"}
    )
    assert first.returncode == 0, first.stderr
    done = json.loads(first.stdout)
    assert (done["trained"], done["champion"], done["snapshot_id"]) == (True, "1", snapshot)
    assert len(list((tmp_path / "home" / "objects" / "snapshots").iterdir())) == 1
    again = run_plumbline("cluster", "bootstrap", "--json")
    assert again.returncode == 0, again.stderr
    result = json.loads(again.stdout)
    assert (result["trained"], result["champion"]) == (False, "1")
    assert result["materialised_until"] == done["as_of"]
    assert run_plumbline("cluster", "wait", "--for", "model", "--timeout", "0").returncode == 0
