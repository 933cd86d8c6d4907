"""The exporter serves what the record holds, from the start to the stop."""

from __future__ import annotations

import socket
import threading
import time

import httpx
import pytest

from monitoring.exporter import serve
from monitoring.results import ResultStore
from plumbline.errors import PortBusyError
from plumbline.settings import Settings


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
    text = _get(f"http://127.0.0.1:{port}/metrics")
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


def _get(url: str) -> str:
    deadline = time.monotonic() + 10
    while True:
        try:
            return httpx.get(url).text
        except httpx.TransportError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
