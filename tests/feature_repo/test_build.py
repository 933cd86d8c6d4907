"""Building, applying and materialising: repeatable, whole or not at all, and quick."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from posting_stream import START

from feature_repo.build import build_views
from feature_repo.definitions import apply
from plumbline.errors import DiskFullError, MissingInputError
from plumbline.features.materialize import materialize
from plumbline.features.online import OnlineFeatureReader
from plumbline.features.store import open_feature_store
from plumbline.features.views import built_views, view_file, views_dir
from plumbline.settings import Settings

AS_OF = START + timedelta(days=80)


def test_the_record_says_what_was_built(built_home: Settings) -> None:
    built = built_views(built_home)
    assert built.snapshot_id == "synthetic"
    assert built.rows == {
        view: pq.read_metadata(view_file(built_home, view)).num_rows
        for view in ("company_activity", "board_activity", "company_labels", "board_labels")
    }
    assert built.seconds < 3.0


def test_times_are_kept_in_microseconds_of_utc(built_home: Settings) -> None:
    for view in built_views(built_home).rows:
        assert str(pq.read_schema(view_file(built_home, view)).field("event_timestamp").type) == "timestamp[us, tz=UTC]"


def test_no_row_is_later_than_asked_for(settings: Settings, postings: pd.DataFrame) -> None:
    until = datetime(2024, 3, 1, 12, tzinfo=UTC)
    build_views(settings, postings, snapshot_id="x", until=until)
    for view in built_views(settings).rows:
        assert pd.read_parquet(view_file(settings, view))["event_timestamp"].max() == pd.Timestamp("2024-03-01", tz=UTC)


def test_a_build_that_fails_leaves_the_last_one_whole(
    home: Settings, postings: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path.name: path.read_bytes() for path in views_dir(home).iterdir()}

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(DiskFullError, match="Free some space"):
        build_views(home, postings.head(500), snapshot_id="other")
    assert {path.name: path.read_bytes() for path in views_dir(home).iterdir()} == before


def test_what_a_killed_build_left_is_taken_away_once_it_is_old(home: Settings, postings: pd.DataFrame) -> None:
    old, young = (views_dir(home) / name for name in (".board_labels.parquet-old", ".board_labels.parquet-young"))
    for path in (old, young):
        path.touch()
    os.utime(old, (0, 0))
    build_views(home, postings.head(500), snapshot_id="other")
    assert not old.exists()
    assert young.exists()


@pytest.mark.parametrize("rows", [0, 10])
def test_no_posting_in_time_is_refused(settings: Settings, postings: pd.DataFrame, rows: int) -> None:
    with pytest.raises(MissingInputError, match="posting"):
        build_views(settings, postings.head(rows), snapshot_id="x", until=START)


def test_postings_without_any_label_have_empty_label_views(home: Settings, postings: pd.DataFrame) -> None:
    unlabelled = postings.assign(label=None, label_timestamp=pd.Series(pd.NaT, postings.index).dt.tz_localize("UTC"))
    built = build_views(home, unlabelled, snapshot_id="x")
    assert built.rows["company_labels"] == built.rows["board_labels"] == 0
    materialize(home, AS_OF)
    board = postings["board"].iloc[0]
    [vector] = OnlineFeatureReader(home).read([{"event_timestamp": AS_OF, "company": None, "board": board}])
    assert vector.values["board_top_label"] is None
    assert vector.values["board_postings_28d"] > 0


def test_applying_and_materialising_twice_changes_nothing(home: Settings) -> None:
    assert apply(home) == apply(home)
    materialize(home, AS_OF)
    once = _everything(home)
    apply(home)
    materialize(home, AS_OF)
    assert _everything(home) == once
    assert once


def test_views_that_feast_marks_as_being_materialised_are_read(home: Settings) -> None:
    """Feast's own materialisation, killed in the middle, leaves them so for good."""
    from feast.feature_view import FeatureViewState

    materialize(home, AS_OF)
    store = open_feature_store(home)
    for view in store.list_feature_views():
        view.state = FeatureViewState.MATERIALIZING
        store.registry.apply_feature_view(view, store.project, commit=True)
    reader = OnlineFeatureReader(home)
    [vector] = reader.read([{"event_timestamp": AS_OF, "company": None, "board": "board1"}])
    assert vector.values["board_postings_28d"] > 0
    materialize(home, AS_OF + timedelta(days=1))
    [vector] = reader.read([{"event_timestamp": AS_OF + timedelta(days=1), "company": None, "board": "board1"}])
    assert vector.age_seconds["board_activity"] == 0.0


def _everything(settings: Settings) -> dict[tuple[str, bytes, str], tuple[bytes, float]]:
    """All rows of the online store, by view, key and feature."""
    import sqlite3

    path = Path(open_feature_store(settings).config.online_store.path)
    with sqlite3.connect(path) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            (table, key, feature): (value, time)
            for table in tables
            for key, feature, value, time in connection.execute(
                f'SELECT entity_key, feature_name, value, event_ts FROM "{table}"'
            )
            if feature != "plumbline_record"
        }
