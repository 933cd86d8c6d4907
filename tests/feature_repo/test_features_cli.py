"""The commands: results on standard output, one sentence and an exit code when something is wrong."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from feature_repo.cli import app
from plumbline.data.snapshot import SnapshotStore
from plumbline.errors import GateRefusedError, MissingInputError, UserError
from plumbline.settings import Settings, load_settings
from plumbline.storage import open_store

AS_OF = "2024-04-10T00:00:00+00:00"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, postings: pd.DataFrame) -> tuple[Settings, dict[str, Any]]:
    """A home with a snapshot, prepared by the command in its own process, and what the command printed."""
    settings = load_settings(home=tmp_path_factory.mktemp("cli") / "home")
    SnapshotStore(open_store(settings)).write(postings, source={"kind": "synthetic"}, label_terms=None)
    done = _plumbline(settings, "features", "prepare", "--as-of", AS_OF, "--pairs", "200", "--json")
    assert done.returncode == 0, done.stderr
    # Steps with their times, and no chatter of libraries.
    assert all(": " in line and line.endswith(" s") for line in done.stderr.strip().splitlines()), done.stderr
    return settings, json.loads(done.stdout)


def test_prepare_reports_every_stage(prepared: tuple[Settings, dict[str, Any]], postings: pd.DataFrame) -> None:
    _, result = prepared
    assert result["parity"]["checked"] == result["parity"]["matched"] == 200
    assert result["parity"]["instants"][-1]["store"] == "serving"
    assert set(result["seconds"]) == {"apply", "build", "materialize", "training_set", "parity", "total"}
    assert result["training_set"]["rows"] == (postings["event_timestamp"] < pd.Timestamp(AS_OF)).sum()
    assert result["materialized_until"] == AS_OF
    assert set(result["views"]["rows"]) == {"company_activity", "board_activity", "company_labels", "board_labels"}


def test_parity_below_a_hundred_percent_exits_with_three(
    prepared: tuple[Settings, dict[str, Any]], postings: pd.DataFrame, tmp_path: Path
) -> None:
    settings, _ = prepared
    with sqlite3.connect(settings.home / "features" / "online.db") as connection:
        saved = list(connection.execute("SELECT rowid, event_ts FROM plumbline_board_labels"))
        connection.execute("UPDATE plumbline_board_labels SET event_ts = event_ts - 86400 * 30")
    try:
        done = _plumbline(settings, "features", "parity", "--pairs", "100", "--json")
    finally:
        with sqlite3.connect(settings.home / "features" / "online.db") as connection:
            connection.executemany(
                "UPDATE plumbline_board_labels SET event_ts = ? WHERE rowid = ?", [(time, row) for row, time in saved]
            )
    assert done.returncode == 3
    assert json.loads(done.stdout)["matched"] < 100
    assert done.stderr.strip().splitlines()[-1].startswith("plumbline: Offline and online features differ")


def test_commands_one_by_one(
    prepared: tuple[Settings, dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings, _ = prepared
    monkeypatch.setenv("PLUMBLINE_HOME", str(settings.home))
    assert _run("apply", "--json")["FeatureView"] == 4
    assert _run("build", "--json")["rows"]["board_activity"] > 0
    assert _run("materialize", "--as-of", "2024-04-11", "--json")["start"] == AS_OF
    assert _run("parity", "--pairs", "50", "--json")["share"] == 1.0
    out = tmp_path / "sub" / "training.parquet"
    assert _run("training-set", "--as-of", AS_OF, "--out", str(out), "--json")["out"] == str(out)
    assert "company_top_label" in pd.read_parquet(out).columns
    rows = _run("show", "--json")["rows"]
    assert [row["view"] for row in rows][-1] == "posting_request_features"
    assert rows[0]["online_until"] == "2024-04-11T00:00:00+00:00"


def test_a_schedule_needs_no_dates(
    prepared: tuple[Settings, dict[str, Any]], postings: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, _ = prepared
    monkeypatch.setenv("PLUMBLINE_HOME", str(settings.home))
    newest = postings["event_timestamp"].max().normalize() + pd.Timedelta(days=1)
    done = _run("refresh", "--json")
    assert done["materialized_until"] == newest.isoformat()
    assert done["applied"]["FeatureView"] == 4
    assert pd.Timestamp(done["views"]["until"]) >= newest
    assert _run("materialize", "--as-of", "latest", "--json")["start"] == newest.isoformat()
    before = datetime.now(UTC)
    assert datetime.fromisoformat(_run("materialize", "--as-of", "now", "--json")["end"]) >= before


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("build", "--as-of", "tomorrow"), UserError),
        (("build", "--snapshot", "latest"), MissingInputError),
        (("materialize", "--as-of", AS_OF), MissingInputError),
        (("materialize", "--as-of", "latest"), MissingInputError),
        (("refresh",), MissingInputError),
        (("show",), MissingInputError),
    ],
)
def test_what_is_missing_is_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], error: type[Exception]
) -> None:
    monkeypatch.setenv("PLUMBLINE_HOME", str(settings.home))
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert isinstance(result.exception, error)
    assert result.stdout == ""


def test_a_gate_is_not_an_error_of_use() -> None:
    assert GateRefusedError.exit_code == 3


def _run(*arguments: str) -> dict[str, Any]:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.exception
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def _plumbline(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "plumbline", *arguments],
        env=os.environ | {"PLUMBLINE_HOME": str(settings.home)},
        capture_output=True,
        text=True,
        check=False,
    )
