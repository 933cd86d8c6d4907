"""Snapshot after snapshot, as a schedule sees them: late postings, postings taken out, postings from the future."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from posting_stream import make_postings
from typer.testing import CliRunner

from feature_repo.cli import app
from plumbline.cli.data import app as data_app
from plumbline.data.snapshot import SnapshotStore
from plumbline.errors import ContractError, MissingInputError
from plumbline.features.collected import newest_event, read_collected
from plumbline.features.instants import instant_of
from plumbline.features.online import OnlineFeatureReader
from plumbline.settings import Settings
from plumbline.storage import open_store

MAPPING = """
version: 1
name: late
fields:
  posting_id: id
  event_timestamp: {column: when, timezone: UTC}
  company: company
  board: board
  title: title
  description: text
  language: {constant: en}
"""
HEADER = "id,when,company,board,title,text\n"
FIRST = "".join(f"a-{n},2026-03-{n % 15 + 1:02d},Alpha,jobs.example,Nurse,Ward nurse number {n}\n" for n in range(60))
LATE = "".join(
    f"l-{n},2026-02-08,Latecomer {n % 4},jobs.example,Driver,Arrived five weeks late {n}\n" for n in range(40)
)


@pytest.fixture(autouse=True)
def _home(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUMBLINE_HOME", str(settings.home))
    monkeypatch.setenv("PLUMBLINE_FEATURES__PARITY_INSTANTS", "2")


def features(*arguments: str) -> dict[str, Any]:
    """Runs `plumbline features ...`."""
    answer = CliRunner().invoke(app, [*arguments, "--json"])
    assert answer.exit_code == 0, answer.exception
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def ingest(folder: Path, rows: str) -> None:
    """Runs `plumbline data ingest` on rows of the form above."""
    (folder / "mapping.yaml").write_text(MAPPING)
    (folder / "rows.csv").write_text(HEADER + rows)
    words = ["ingest", "--data", str(folder / "rows.csv"), "--mapping", str(folder / "mapping.yaml")]
    answer = CliRunner().invoke(data_app, words)
    assert answer.exit_code == 0, answer.exception


@pytest.mark.parametrize("second", [FIRST + LATE, LATE], ids=["late postings", "late postings alone"])
def test_postings_that_arrive_five_weeks_late_reach_the_online_store(
    settings: Settings, tmp_path: Path, second: str
) -> None:
    """The second snapshot of its own ends before the first: what only the first had is served no more."""
    ingest(tmp_path, FIRST)
    first = features("refresh")
    ingest(tmp_path, second)
    done = features("refresh")
    assert done["snapshot_id"] != first["snapshot_id"]
    assert done["online_rows"]["written"] >= 4
    measured = features("parity", "--pairs", "600")
    assert measured["matched"] == measured["checked"] == 600
    at = datetime(2026, 2, 9, tzinfo=UTC)
    [vector] = OnlineFeatureReader(settings).read([{"event_timestamp": at, "company": "Latecomer 1", "board": "x"}])
    until = datetime.fromisoformat(done["materialized_until"])
    if until == at:
        assert vector.values["company_postings_28d"] == 10
    else:  # their last row lies between the two instants
        assert vector.later == ["company_activity"]


@pytest.fixture
def snapshot(settings: Settings) -> tuple[SnapshotStore, pd.DataFrame]:
    return SnapshotStore(open_store(settings)), make_postings(300, weeks=8, companies=20)


def _with_one_in(frame: pd.DataFrame, year: int) -> pd.DataFrame:
    wrong = frame.iloc[[0]].assign(posting_id="wrong", event_timestamp=pd.Timestamp(f"{year}-01-01", tz="UTC"))
    return pd.concat([frame, wrong.astype(frame.dtypes.to_dict())], ignore_index=True)


def test_a_posting_of_2099_moves_nothing_and_is_said(
    snapshot: tuple[SnapshotStore, pd.DataFrame], caplog: pytest.LogCaptureFixture
) -> None:
    snapshots, frame = snapshot
    snapshots.write(_with_one_in(frame, 2099), source={"kind": "file"})
    newest = (frame["event_timestamp"].max().normalize() + pd.Timedelta(days=1)).isoformat()
    done, said = features("refresh"), caplog.text
    assert done["materialized_until"] == newest
    assert datetime.fromisoformat(done["views"]["until"]) < datetime(2025, 1, 1, tzinfo=UTC)
    assert done["future_postings_ignored"] == 1
    assert said.count("1 posting that is later than its collection") == 1
    assert "2099-01-01" in said
    assert "ingest again" in said
    prepared = features("prepare", "--as-of", "latest", "--pairs", "60")
    assert (prepared["as_of"], prepared["parity"]["share"]) == (newest, 1.0)

    later = pd.concat([frame, _with_one_in(frame, 2099).tail(1).assign(event_timestamp=pd.Timestamp(newest))])
    snapshots.write(later.astype(frame.dtypes.to_dict()), source={"kind": "file"})
    caplog.clear()
    done = features("refresh")
    assert datetime.fromisoformat(done["materialized_until"]) > datetime.fromisoformat(newest)
    assert done["online_rows"]["written"] > 0
    assert done["future_postings_ignored"] == 0
    assert "later than its collection" not in caplog.text


def test_a_posting_of_1900_leaves_the_pairs_of_parity_among_the_others(
    snapshot: tuple[SnapshotStore, pd.DataFrame],
) -> None:
    snapshots, frame = snapshot
    snapshots.write(_with_one_in(frame, 1900), source={"kind": "file"})
    prepared = features("prepare", "--as-of", "latest", "--pairs", "100")
    assert all(each["at"] > "2024" for each in prepared["parity"]["instants"])
    assert prepared["parity"]["served"] > 50


@pytest.mark.parametrize(
    "source",
    [
        {"kind": "generator"},
        {"kind": "file", "made_up_time": True},
        {"kind": "file", "collected": "2099-01-03T00:00:00+00:00"},
    ],
    ids=["generated", "times made up", "collected then"],
)
def test_a_stream_may_lie_in_the_future_where_its_source_says_so(
    settings: Settings, snapshot: tuple[SnapshotStore, pd.DataFrame], source: dict[str, Any]
) -> None:
    snapshots, frame = snapshot
    written = snapshots.write(_with_one_in(frame, 2099), source=source)
    assert read_collected(settings, "latest").ignored == 0
    assert newest_event(settings, written.id).year == 2099
    assert instant_of("latest", settings) == datetime(2099, 1, 2, tzinfo=UTC)


def test_a_day_ahead_is_no_future(settings: Settings, snapshot: tuple[SnapshotStore, pd.DataFrame]) -> None:
    """Dates without a time of day, of a zone whose day has begun already."""
    snapshots, frame = snapshot
    soon = (datetime.now(UTC) + timedelta(hours=20)).replace(microsecond=0)
    ahead = frame.tail(1).assign(posting_id="soon", event_timestamp=pd.Timestamp(soon))
    snapshots.write(pd.concat([frame, ahead.astype(frame.dtypes.to_dict())]), source={"kind": "file"})
    assert read_collected(settings, "latest").ignored == 0


def test_a_snapshot_of_nothing_but_the_future_is_refused(
    settings: Settings, snapshot: tuple[SnapshotStore, pd.DataFrame]
) -> None:
    snapshots, frame = snapshot
    moved = frame.assign(event_timestamp=frame["event_timestamp"] + pd.Timedelta(days=36_500))
    snapshots.write(moved.astype(frame.dtypes.to_dict()), source={"kind": "file"})
    with pytest.raises(ContractError, match="Every posting of snapshot"):
        instant_of("latest", settings)


def test_nothing_is_told_about_a_snapshot_whose_views_are_not_built(
    snapshot: tuple[SnapshotStore, pd.DataFrame],
) -> None:
    snapshots, frame = snapshot
    first = snapshots.write(frame, source={})
    features("refresh")
    second = snapshots.write(frame.head(200), source={})
    answer = CliRunner().invoke(app, ["parity"])
    assert isinstance(answer.exception, MissingInputError)
    assert f"features refresh --snapshot {second.id[:12]}" in str(answer.exception)
    assert features("parity", "--snapshot", first.id, "--pairs", "20")["snapshot_id"] == first.id
