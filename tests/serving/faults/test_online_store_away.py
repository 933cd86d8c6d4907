"""The online store is killed under load: answers go on with defaults and say so; once it is back, with features."""

from __future__ import annotations

import time
from pathlib import Path

from conftest import Installation
from fault_clients import Clients
from fault_log import require_each_once, shipped
from fault_replica import RunningReplica, on_free_port
from redis_server import RedisServer

from plumbline.features.materialize import materialize
from plumbline.features.online import OnlineFeatureReader
from plumbline.settings import Settings, load_settings
from serving.engine.registry_source import RegistryModels
from serving.prediction_log import read


def _with_redis(installation: Installation, redis: RedisServer) -> Settings:
    settings = load_settings(home=installation.settings.home, features={"online_store": redis.online_store})
    materialize(settings, installation.as_of)
    # Rows are not kept in memory: the store is asked for each batch, as it is for companies not seen lately.
    return on_free_port(settings, features_cache_seconds=0.0, features_budget_ms=200.0)


def test_without_the_online_store_answers_are_degraded_and_recover(installation: Installation, tmp_path: Path) -> None:
    with RedisServer(tmp_path) as redis:
        settings = _with_redis(installation, redis)
        replica = RunningReplica(
            settings, models=lambda name: RegistryModels(settings, name), features=OnlineFeatureReader(settings)
        )
        with replica, Clients(replica.url, "redis", posting=installation.posting) as clients:
            clients.wait_for(lambda seen: seen.status == 200 and not seen.degraded, count=20)
            redis.kill()
            killed = time.monotonic()
            clients.wait_for(lambda seen: seen.status == 200 and bool(seen.degraded), count=20, since=killed)
            assert replica.metrics()["plumbline_log_kept_share"] == 1.0
            redis.start()
            started = time.monotonic()
            clients.wait_for(lambda seen: seen.status == 200 and not seen.degraded, count=20, since=started)

    assert clients.outcomes().keys() == {"200"}
    assert {reason for seen in clients.seen for reason in seen.degraded} <= {"features_failed", "features_late"}
    require_each_once(shipped(settings), clients.answered)
    log = read(settings, columns=["request_id", "degraded", "features"]).set_index("request_id")
    degraded = {seen.request_id: bool(seen.degraded) for seen in clients.seen}
    assert {name: bool(log["degraded"][name]) for name in degraded} == degraded
    assert not log.loc[[name for name, missed in degraded.items() if missed], "features"].map(bool).any()
