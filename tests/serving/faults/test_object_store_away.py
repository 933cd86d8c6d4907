"""The object store is away, comes, hangs, and goes on: clients see nothing of it, and each record arrives once."""

from __future__ import annotations

import time
from collections.abc import Callable

from fault_clients import Clients
from fault_log import require_each_once, shipped, spooled
from fault_replica import RunningReplica, free_port, on_free_port
from s3_endpoint import CREDENTIALS, S3Endpoint, store_in
from serving_standins import Features, Models

from plumbline.settings import Settings, load_settings

_BUCKET = "log"


def _wait(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_answers_go_on_the_spool_grows_and_everything_is_shipped_once(settings: Settings) -> None:
    endpoint = S3Endpoint(free_port())
    times = {"attempts": 1, "connect_timeout_seconds": 1.0, "read_timeout_seconds": 1.0}
    store = {"bucket": _BUCKET, "endpoint_url": endpoint.url, **times, **CREDENTIALS}
    settings = on_free_port(load_settings(home=settings.home, store=store))
    models = Models()
    with endpoint:
        replica = RunningReplica(settings, models=lambda *_: models, features=Features())
        with replica, Clients(replica.url, "away") as clients:
            _wait(lambda: _failures(replica) >= 2)
            away = replica.metrics()
            assert away["plumbline_log_spool_bytes"] > 0
            assert away["plumbline_log_kept_share"] == 1.0
            _wait(lambda: replica.metrics()["plumbline_log_spool_segments"] > 2)

            endpoint.start()
            store_in(endpoint.url, _BUCKET)
            _wait(lambda: sum(shipped(settings).values()) > 50)

            failures = _failures(replica)
            endpoint.pause()
            _wait(lambda: _failures(replica) > failures + 1)
            assert replica.metrics()["plumbline_log_oldest_segment_seconds"] > 0
            endpoint.go_on()  # and stores what nobody waits for any more, beside what is sent again
            _wait(lambda: replica.metrics()["plumbline_log_spool_segments"] <= 2)

        assert clients.outcomes().keys() == {"200"}
        assert not spooled(settings)
        log = shipped(settings)
        require_each_once(log, clients.answered)
        assert len(log) == len(clients.answered) > 100


def _failures(replica: RunningReplica) -> float:
    return replica.metrics()["plumbline_log_shipping_failures_total"]
