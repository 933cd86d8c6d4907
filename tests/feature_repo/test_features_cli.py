"""The commands: results on standard output, one sentence and an exit code when something is wrong."""

from __future__ import annotations

import json
import os
import re
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
from plumbline.features.parity_record import newest_parity
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
    # Steps with their times, those under way on a slow machine, too, and no chatter of libraries.
    shown = re.compile(r" {2,}[A-Z][\w ]+(: [\d.]+ s| \.\.\. \d+ s( .*)?)")
    assert all(map(shown.fullmatch, done.stderr.rstrip().splitlines())), done.stderr
    return settings, json.loads(done.stdout)


def test_prepare_reports_every_stage(prepared: tuple[Settings, dict[str, Any]], postings: pd.DataFrame) -> None:
    _, result = prepared
    assert result["parity"]["checked"] == result["parity"]["matched"] == 200
    assert result["parity"]["instants"][-1]["store"] == "serving"
    settings = prepared[0]
    record = newest_parity(settings, result["snapshot_id"], "posting_classifier_v1")
    assert record is not None
    assert record.key == result["parity"]["record"]
    assert (record.command, record.checked, record.share) == ("plumbline features prepare", 200, 1.0)
    assert record.served_until == datetime.fromisoformat(AS_OF)
    assert set(result["seconds"]) == {"apply", "build", "materialize", "training_set", "parity", "total"}
    assert result["training_set"]["rows"] == (postings["event_timestamp"] < pd.Timestamp(AS_OF)).sum()
    assert result["materialized_until"] == AS_OF
    assert set(result["views"]["rows"]) == {"company_activity", "board_activity", "company_labels", "board_labels"}


def test_parity_below_a_hundred_percent_exits_with_three(prepared: tuple[Settings, dict[str, Any]]) -> None:
    """The report is recorded as well, and what the message says to do sets it right."""
    settings, result = prepared
    with sqlite3.connect(settings.home / "features" / "online.db") as connection:
        connection.execute("UPDATE plumbline_board_labels SET event_ts = event_ts - 86400 * 30")
    done = _plumbline(settings, "features", "parity", "--pairs", "100", "--json")
    assert done.returncode == 3
    assert json.loads(done.stdout)["matched"] < 100
    said = done.stderr.strip().splitlines()[-1]
    assert said.startswith("plumbline: Offline and online features differ")
    record = newest_parity(settings, result["snapshot_id"], "posting_classifier_v1")
    assert record is not None
    assert record.share < 1.0
    advice = re.search(r"`plumbline (features materialize --full --as-of \S+)`", said)
    assert advice is not None
    assert _plumbline(settings, *advice[1].split()).returncode == 0
    assert _plumbline(settings, "features", "parity", "--pairs", "100").returncode == 0


def test_commands_one_by_one(
    prepared: tuple[Settings, dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings, _ = prepared
    monkeypatch.setenv("PLUMBLINE_HOME", str(settings.home))
    assert _run("apply", "--json")["FeatureView"] == 4
    assert _run("build", "--json")["rows"]["board_activity"] > 0
    onward = _run("materialize", "--as-of", "2024-04-11", "--json")
    assert onward["end"] == "2024-04-11T00:00:00+00:00"
    assert onward["written"] > 0 < onward["unchanged"]
    assert onward["views"]["board_activity"]["written"] > 0
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
    assert done["online_rows"]["written"] > 0
    assert done["future_postings_ignored"] == 0
    again = _run("materialize", "--as-of", "latest", "--json")
    assert (again["end"], again["written"], again["removed"]) == (newest.isoformat(), 0, 0)
    measured = _run("refresh", "--measure", "--json")["parity"]
    assert measured["share"] == 1.0
    assert (settings.home / "objects" / measured["record"]).is_file()
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
        (("parity",), MissingInputError),
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
