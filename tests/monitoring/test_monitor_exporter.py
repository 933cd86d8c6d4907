"""The exporter serves what the record holds, from the start to the stop."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from s3_endpoint import running_endpoint, store_in

from monitoring.exporter import ResultCollector, serve
from monitoring.results import ResultStore
from monitoring.sending import outbox
from plumbline import paths
from plumbline.alerts.webhook import WebhookMessage, build_alert, build_message
from plumbline.errors import PortBusyError
from plumbline.settings import Settings, load_settings
from plumbline.settings.monitoring import AlertReceiver


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_latest_result_is_scraped(settings: Settings) -> None:
    test = {"kind": "unseen", "column": "title", "value": 0.5, "threshold": 0.05, "breached": True}
    skipped = {**test, "kind": "accuracy", "value": None}
    store = ResultStore(settings)
    store.add({"rows": 1, "alerts": 0, "status": "passed", "tests": []}, model="m", version="1")
    store.add({"rows": 900, "alerts": 1, "status": "alert", "tests": [test, skipped]}, model="m", version="1")
    port, stop = _free_port(), threading.Event()
    thread = threading.Thread(target=serve, args=(settings,), kwargs={"port": port, "stop": stop})
    thread.start()
    text = _get(f"http://127.0.0.1:{port}/metrics", until="store_up 1.0")
    stop.set()
    thread.join(timeout=5)
    assert not thread.is_alive()
    assert 'plumbline_monitor_window_rows{model="m",model_version="1"} 900.0' in text
    assert 'plumbline_monitor_drift_breached{column="title",model="m",model_version="1",test="unseen"} 1.0' in text
    assert 'test="accuracy"' not in text


def test_a_taken_port_is_said(settings: Settings) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        with pytest.raises(PortBusyError, match="EXPORTER_PORT"):
            serve(settings, port=holder.getsockname()[1], stop=threading.Event())


def test_results_of_one_pod_are_served_by_another_and_kept_while_the_store_is_away(tmp_path: Path) -> None:
    with running_endpoint() as url:
        store = store_in(url, "results")
        monitor = load_settings(home=tmp_path / "monitor", store=store)
        exporter = load_settings(home=tmp_path / "exporter", store=store)
        ResultStore(monitor).add(
            {"rows": 7, "alerts": 0, "status": "passed", "tests": [], "evidently_problem": "It is away."},
            model="m",
            version="1",
        )
        outbox(monitor).write(_message(), [AlertReceiver(url="http://controller/webhook")])
        collector = ResultCollector(exporter)
        collector.refresh()
        text = _exposed(collector)
        assert 'plumbline_monitor_window_rows{model="m",model_version="1"} 7.0' in text
        assert 'plumbline_monitor_evidently_failed{model="m",model_version="1"} 1.0' in text
        assert "plumbline_monitor_alerts_waiting 1.0" in text
        assert "plumbline_monitor_store_up 1.0" in text
        assert not paths.monitoring_dir(exporter).exists()
    collector.refresh()
    away = _exposed(collector)
    assert away == text.replace("plumbline_monitor_store_up 1.0", "plumbline_monitor_store_up 0.0")


def test_a_store_that_was_never_there_gives_no_figures(tmp_path: Path) -> None:
    store = {"bucket": "b", "endpoint_url": "http://127.0.0.1:9", "access_key_id": "a", "secret_access_key": "b"}
    collector = ResultCollector(load_settings(home=tmp_path, store=store | {"attempts": 1}))
    assert "store_up 0" not in _exposed(collector)
    collector.refresh()
    text = _exposed(collector)
    assert "plumbline_monitor_store_up 0.0" in text
    assert "alerts_waiting 0" not in text


def _message() -> WebhookMessage:
    alert = build_alert(
        "PostingDrift", severity="warning", labels={"model": "m"}, annotations={}, starts_at=datetime.now(UTC)
    )
    return build_message([alert], receiver="loop")


def _exposed(collector: ResultCollector) -> str:
    registry = CollectorRegistry()
    registry.register(collector)
    return generate_latest(registry).decode()


def _get(url: str, *, until: str) -> str:
    deadline = time.monotonic() + 10
    while True:
        with contextlib.suppress(httpx.TransportError):
            text = httpx.get(url).text
            if until in text:
                return text
        assert time.monotonic() < deadline
        time.sleep(0.05)
