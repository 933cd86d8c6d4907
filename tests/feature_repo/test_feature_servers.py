"""The stores of a cluster: the registry on a Postgres whose password libpq carries, and a Redis with a password."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from postgres_server import create_database, running_postgres
from redis_server import RedisServer

from feature_repo.definitions import apply
from feature_repo.refresh import refresh
from plumbline.cli.output import step
from plumbline.errors import DependencyError
from plumbline.features.clock import next_grid_instant
from plumbline.features.online import OnlineFeatureReader
from plumbline.features.parity import check_parity
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
    done = refresh(pod("schedule"), postings, snapshot_id="synthetic", as_of=as_of, step=step)
    assert done["materialized_until"] == as_of.isoformat()
    again = refresh(pod("schedule-tomorrow"), postings, snapshot_id="synthetic", as_of=as_of, step=step)
    assert again["materialized_from"] == as_of.isoformat()

    serving = OnlineFeatureReader(pod("serving"))
    [vector] = serving.read([{**postings.iloc[-1].to_dict(), "event_timestamp": as_of}])
    assert vector.missing == []
    assert vector.values["board_postings_28d"]
    check_parity(pod("training"), postings, pairs=100).require()


def test_a_redis_without_its_password_is_said(tmp_path: Path, redis: RedisServer) -> None:
    features = {"online_store": {"type": "redis", "connection_string": f"127.0.0.1:{redis.port}"}}
    settings = load_settings(home=tmp_path / "home", features=features)
    apply(settings)
    with pytest.raises(DependencyError, match="redis"):
        OnlineFeatureReader(settings)


def test_a_postgres_that_is_away_is_said(tmp_path: Path) -> None:
    url = "postgresql+psycopg://owner@127.0.0.1:9/feast"
    settings = load_settings(home=tmp_path / "home", features={"registry_url": url})
    with pytest.raises(DependencyError, match="registry_url"):
        open_feature_store(settings)
