"""Views that one pod computes and others read: through the bucket, into folders of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from feature_repo.build import build_views
from feature_repo.definitions import apply
from feature_repo.show import describe_views
from plumbline.errors import DependencyError, IntegrityError, MissingInputError
from plumbline.features.materialize import materialize
from plumbline.features.offline import historical_features
from plumbline.features.online import OnlineFeatureReader
from plumbline.features.parity import check_parity
from plumbline.features.shared_views import BUILDS_KEPT
from plumbline.features.views import built_views, view_file, views_dir
from plumbline.settings import Settings, load_settings
from plumbline.storage import open_store

AS_OF = datetime(2024, 4, 10, tzinfo=UTC)
EARLIER = datetime(2024, 3, 10, tzinfo=UTC)
POINTER = "features/views/newest.json"


@pytest.fixture
def pods(tmp_path: Path, s3: Callable[[str], dict[str, Any]], request: pytest.FixtureRequest) -> Callable[[], Settings]:
    """Makes settings of pods: each has a home of its own; bucket, registry and online store are common."""
    bucket = s3(f"views-{abs(hash(request.node.name))}")
    servers = {
        "registry_url": f"sqlite:///{tmp_path / 'registry.db'}",
        "online_store": {"type": "sqlite", "path": str(tmp_path / "online.db")},
    }
    made: list[Settings] = []

    def make() -> Settings:
        home = tmp_path / f"pod-{len(made)}"
        made.append(load_settings(home=home, store=bucket, features=servers))
        return made[-1]

    return make


def test_what_one_builds_another_reads(pods: Callable[[], Settings], postings: pd.DataFrame) -> None:
    builder, reader = pods(), pods()
    apply(builder)
    built = build_views(builder, postings, snapshot_id="synthetic")
    assert built_views(reader) == built
    asked = postings.head(200)
    pd.testing.assert_frame_equal(historical_features(reader, asked), historical_features(builder, asked))
    assert materialize(reader, AS_OF).end == AS_OF
    check_parity(reader, postings, pairs=100).require()
    [vector] = OnlineFeatureReader(reader).read([{**asked.iloc[0].to_dict(), "event_timestamp": AS_OF}])
    assert any(value is not None for value in vector.values.values())
    assert describe_views(reader)[0]["rows"] == built.rows["company_activity"]
    assert views_dir(builder) != views_dir(reader)


def test_a_reader_follows_the_newest_build_and_fetches_once(
    pods: Callable[[], Settings], postings: pd.DataFrame
) -> None:
    builder, reader = pods(), pods()
    with pytest.raises(MissingInputError, match="features build"):
        built_views(reader)
    build_views(builder, postings, snapshot_id="first", until=EARLIER)
    assert built_views(reader).snapshot_id == "first"
    stamp = view_file(reader, "board_labels").stat().st_mtime_ns
    assert built_views(reader).snapshot_id == "first"
    assert view_file(reader, "board_labels").stat().st_mtime_ns == stamp
    build_views(builder, postings, snapshot_id="second", until=AS_OF)
    assert built_views(reader).snapshot_id == "second"
    assert view_file(reader, "board_labels").read_bytes() == view_file(builder, "board_labels").read_bytes()
    assert not list(views_dir(reader).glob(".fetched-*"))


def test_old_builds_are_taken_away(pods: Callable[[], Settings], postings: pd.DataFrame) -> None:
    builder = pods()
    few = postings.head(50)
    for number in range(BUILDS_KEPT + 2):
        build_views(builder, few, snapshot_id=str(number))
    store = open_store(builder)
    builds = {key.split("/")[2] for key in store.list("features/views/") if key != POINTER}
    assert len(builds) == BUILDS_KEPT
    assert json.loads(store.get(POINTER))["build"] == max(builds)
    assert built_views(pods()).snapshot_id == str(BUILDS_KEPT + 1)


def test_a_file_that_was_changed_is_refused_and_replaces_nothing(
    pods: Callable[[], Settings], postings: pd.DataFrame
) -> None:
    builder, reader = pods(), pods()
    build_views(builder, postings.head(50), snapshot_id="good")
    built_views(reader)
    build_views(builder, postings.head(60), snapshot_id="bad")
    store = open_store(builder)
    build = json.loads(store.get(POINTER))["build"]
    store.put(f"features/views/{build}/board_labels.parquet", b"not what was built")
    with pytest.raises(IntegrityError, match="digest"):
        built_views(reader)
    record = json.loads((views_dir(reader) / "built.json").read_text())
    assert record["snapshot_id"] == "good"


def test_a_file_that_is_lost_is_fetched_again(pods: Callable[[], Settings], postings: pd.DataFrame) -> None:
    builder, reader = pods(), pods()
    build_views(builder, postings.head(50), snapshot_id="only")
    built_views(reader)
    view_file(reader, "board_labels").unlink()
    built_views(reader)
    assert view_file(reader, "board_labels").is_file()


def test_a_bucket_that_is_away_is_said(tmp_path: Path) -> None:
    store = {
        "bucket": "views",
        "endpoint_url": "http://127.0.0.1:9",
        "access_key_id": "a",
        "secret_access_key": "b",
        "attempts": 1,
        "connect_timeout_seconds": 1,
    }
    with pytest.raises(DependencyError, match="ENDPOINT_URL"):
        built_views(load_settings(home=tmp_path, store=store))
