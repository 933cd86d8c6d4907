"""The stores of a cluster: the registry on a Postgres whose password libpq carries, and a Redis with a password."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from postgres_server import create_database, running_postgres
from redis_server import RedisServer

from feature_repo.build import build_views
from feature_repo.definitions import apply
from feature_repo.refresh import refresh
from plumbline.cli.output import step
from plumbline.errors import DependencyError
from plumbline.features.clock import next_grid_instant
from plumbline.features.collected import Collected
from plumbline.features.materialize import materialize
from plumbline.features.materialize_lock import only_materialization
from plumbline.features.online import OnlineFeatureReader
from plumbline.features.parity_record import newest_parity
from plumbline.features.store import open_feature_store
from plumbline.settings import Settings, load_settings


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of an empty database, without the password: that is in libpq's own variable."""
    with running_postgres() as postgres:
        create_database(postgres, "feast")
        monkeypatch.setenv("PGPASSWORD", postgres.password)
        yield f"postgresql+psycopg://{postgres.user}@{postgres.host}:{postgres.port}/feast?sslmode=disable"


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that asks for a password."""
    folder = tmp_path / "redis"
    folder.mkdir()
    with RedisServer(folder) as server:
        yield server


def test_pods_with_nothing_in_common_but_servers(
    tmp_path: Path, registry: str, redis: RedisServer, s3: Callable[[str], dict[str, Any]], postings: pd.DataFrame
) -> None:
    bucket = s3("feature-servers")
    online = redis.online_store

    def pod(name: str) -> Settings:
        features = {"registry_url": registry, "online_store": online}
        return load_settings(home=tmp_path / name, store=bucket, features=features)

    as_of = next_grid_instant(postings["event_timestamp"].max().to_pydatetime(), timedelta(days=1))
    collected = Collected("synthetic", postings, 0)
    done, _ = refresh(pod("schedule"), collected, as_of=as_of, measure=False, step=step)
    assert done["materialized_until"] == as_of.isoformat()
    assert done["online_rows"]["written"] > 0
    again, report = refresh(pod("schedule-tomorrow"), collected, as_of=as_of, measure=True, step=step)
    assert again["online_rows"] == {"written": 0, "removed": 0, "unchanged": done["online_rows"]["written"]}
    assert report is not None
    assert report.share == 1.0
    record = newest_parity(pod("training"), "synthetic", "posting_classifier_v1")
    assert record is not None
    assert (record.key, record.checked) == (again["parity"]["record"], report.checked)

    serving = OnlineFeatureReader(pod("serving"))
    [vector] = serving.read([{**postings.iloc[-1].to_dict(), "event_timestamp": as_of}])
    assert vector.missing == []
    assert vector.values["board_postings_28d"]


def test_one_materialisation_at_a_time_over_all_pods(
    tmp_path: Path, registry: str, redis: RedisServer, postings: pd.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    features = {"registry_url": registry, "online_store": redis.online_store}
    first, second = (load_settings(home=tmp_path / name, features=features) for name in ("first", "second"))
    order: list[str] = []

    def wait() -> None:
        with only_materialization(second):
            order.append("second")

    with ThreadPoolExecutor(1) as pool:
        with only_materialization(first):
            waiting = pool.submit(wait)
            while "waiting for its end" not in caplog.text:
                time.sleep(0.05)
            order.append("first")
        waiting.result()
    assert order == ["first", "second"]


def test_a_redis_without_its_password_is_said(tmp_path: Path, redis: RedisServer, postings: pd.DataFrame) -> None:
    features = {"online_store": {"type": "redis", "connection_string": f"127.0.0.1:{redis.port}"}}
    settings = load_settings(home=tmp_path / "home", features=features)
    apply(settings)
    with pytest.raises(DependencyError, match="redis"):
        OnlineFeatureReader(settings)
    build_views(settings, postings, snapshot_id="synthetic")
    with pytest.raises(DependencyError, match=r"redis.* did not take the rows of company_activity"):
        materialize(settings, datetime(2024, 4, 1, tzinfo=UTC))


def test_a_postgres_that_is_away_is_said(tmp_path: Path) -> None:
    url = "postgresql+psycopg://owner@127.0.0.1:9/feast"
    settings = load_settings(home=tmp_path / "home", features={"registry_url": url})
    with pytest.raises(DependencyError, match="registry_url"):
        open_feature_store(settings)
