"""`plumbline serve log`: counting, shipping and pruning from the command line."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from log_records import record, start
from typer.testing import CliRunner

from plumbline.errors import MissingInputError, UserError
from plumbline.settings import Settings
from serving.cli import serve_app
from serving.prediction_log import read, ship
from serving.prediction_log.segments import spool_dir

runner = CliRunner()


@pytest.fixture(autouse=True)
def _home(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUMBLINE_HOME", str(settings.home))


def _asked(*arguments: str) -> dict[str, Any]:
    result = runner.invoke(serve_app, ["log", *arguments, "--json"])
    assert result.exit_code == 0, result.exception
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def test_an_empty_log_is_counted() -> None:
    answer = _asked()
    assert (answer["count"], answer["first"], answer["last"], answer["degraded"]) == (0, None, None, 0)
    assert (answer["by_version"], answer["by_role"], answer["left_out"]) == ({}, {}, {})
    assert answer["spool"] == {"segments": 0, "bytes": 0}


def test_a_log_is_counted_by_version_and_role_and_by_what_is_not_in_it(settings: Settings) -> None:
    log = start(settings, sample_rate=0.5)
    old = datetime(2026, 1, 5, 9, tzinfo=UTC)
    log.append([record(f"old{number}", time=old) for number in range(50)])
    kept = log.records
    log.append([record(f"r{number}", role="canary", model_version="5") for number in range(50)])
    log.append([record(f"r{number}", role="shadow", degraded=True) for number in range(50)])
    log.close()
    answer = _asked()
    canaries = len(read(settings, roles=("canary",)))
    assert answer["count"] == kept + canaries
    assert answer["by_role"] == {"canary": canaries, "champion": kept}
    assert answer["by_version"] == {"4": kept, "5": canaries}
    assert answer["shadow"] == canaries
    assert answer["degraded"] == 0
    assert answer["stands_for"] == 2 * (kept + canaries)
    assert answer["left_out"] == {"policy": 150 - kept - 2 * canaries}
    assert answer["first"] == old.isoformat()
    assert _asked("--since", "2026-01-05T10:00:00")["count"] == canaries
    assert _asked("--until", "2026-01-05T10:00:00")["count"] == kept


def test_a_dead_pods_spool_is_shipped_by_hand(settings: Settings, tmp_path: Path) -> None:
    log = start(settings)
    log.append([record("a"), record("b")])
    log.close()
    rescued = tmp_path / "rescued"
    shutil.move(spool_dir(settings), rescued)
    living = start(settings)
    living.append([record("c")])
    assert _asked("ship", "--spool", str(rescued)) == {"segments": 1, "rows": 2, "damaged": 0, "segments_left": 0}
    assert _asked("ship")["segments_left"] == 1  # what a living process writes to stays
    assert sorted(read(settings)["request_id"]) == ["a", "b", "c"]
    living.close()


def test_a_spool_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    result = runner.invoke(serve_app, ["log", "ship", "--spool", str(tmp_path / "nowhere")])
    assert isinstance(result.exception, MissingInputError)


def test_pruning_says_what_it_would_do_and_does_it(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    log = start(settings)
    log.append([record("old", time=datetime.now(UTC) - timedelta(days=8)), record("new")])
    log.close()
    ship(settings)
    result = runner.invoke(serve_app, ["log", "prune"])
    assert isinstance(result.exception, UserError)
    monkeypatch.setenv("PLUMBLINE_SERVING__LOG__RETENTION_DAYS", "7")
    assert _asked("prune", "--dry-run")["objects"] == 1
    assert len(read(settings)) == 2
    assert _asked("prune")["objects"] == 1
    assert list(read(settings)["request_id"]) == ["new"]
