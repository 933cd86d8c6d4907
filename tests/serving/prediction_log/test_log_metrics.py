"""What the log's metrics say."""

from __future__ import annotations

import time

import pytest
from log_records import record, start, with_log
from prometheus_client import CollectorRegistry

from plumbline.errors import DependencyError
from plumbline.settings import Settings
from serving.prediction_log import PredictionLog
from serving.prediction_log.collector import LogCollector
from serving.prediction_log.segments import spool_dir
from serving.prediction_log.shipper import Shipper, ship_or_warn
from serving.prediction_log.shipping_state import read_state


def _values(log: PredictionLog) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(LogCollector(log))
    return {
        ".".join([sample.name, *sample.labels.values()]).removeprefix("plumbline_log_"): sample.value
        for family in registry.collect()
        for sample in family.samples
    }


def test_everything_is_there_before_it_happens_and_counts(settings: Settings) -> None:
    log = start(settings, sample_rate=0.5)
    before = _values(log)
    assert before == {
        "records_total": 0,
        "left_out_total.policy": 0,
        "left_out_total.spool_full": 0,
        "left_out_total.write_failed": 0,
        "kept_share": 0.5,
        "spool_segments": 1,
        "spool_bytes": 0,
        "oldest_segment_seconds": 0,
        "shipping_failures_total": 0,
        "damaged_files_total": 0,
    }
    log.append([record(f"r{number}") for number in range(40)])
    after = _values(log)
    assert 0 < after["records_total"] < 40
    assert after["records_total"] + after["left_out_total.policy"] == 40
    assert after["spool_bytes"] > 1000
    log.close()


def test_the_oldest_segment_that_waits_has_an_age(settings: Settings) -> None:
    log = start(settings)
    (spool_dir(settings) / "20200101T000000-ab.jsonl").write_bytes(record("a").line())
    assert _values(log)["oldest_segment_seconds"] > 365 * 86_400
    log.close()


def _away(settings: Settings) -> Settings:
    store = settings.store.model_copy(
        update={"bucket": "b", "endpoint_url": "http://127.0.0.1:9", "attempts": 1, "connect_timeout_seconds": 0.2}
    )
    return settings.model_copy(update={"store": store})


def test_rounds_that_fail_are_counted_by_whoever_ships_and_seen_by_whoever_is_asked(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    for name in ("a", "b"):
        log = start(settings)
        log.append([record(name)])
        log.close()
    ship_or_warn(_away(settings))
    ship_or_warn(_away(settings))
    log = start(settings)
    assert _values(log)["shipping_failures_total"] == 2
    assert _values(log)["spool_segments"] == 3
    state = read_state(spool_dir(settings))
    assert "127.0.0.1:9" in str(state.last_error)
    assert state.last_success is None
    ship_or_warn(settings)
    assert read_state(spool_dir(settings)).last_success is not None
    assert _values(log)["shipping_failures_total"] == 2
    assert _values(log)["spool_segments"] == 1
    log.close()


def test_a_shipper_outlives_a_round_that_fails(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds: list[str] = []

    def ship(_settings: Settings) -> None:
        rounds.append("round")
        raise DependencyError("the store is away") if len(rounds) == 1 else ValueError("nobody thought of this")

    monkeypatch.setattr("serving.prediction_log.shipper.ship", ship)
    shipper = Shipper(with_log(settings, ship_seconds=0.01))
    deadline = time.monotonic() + 10
    while len(rounds) < 4:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    monkeypatch.undo()
    shipper.close()
