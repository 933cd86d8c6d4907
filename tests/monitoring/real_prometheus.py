"""A real Prometheus that scrapes what the platform's own code exposes."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from monitoring.exporter import ResultCollector
from monitoring.results import ResultStore
from plumbline.alerts.webhook import build_alert
from plumbline.controller.metrics import render
from plumbline.controller.state import ControllerState
from plumbline.settings import Settings
from serving.prediction_log.collector import LogCollector
from serving.prediction_log.log import PredictionLog
from serving.release.collector import Figures, ReleaseCollector
from serving.telemetry.metrics import Metrics, Variant

NAMESPACE = "prod"


class Exposed:
    """Metrics pages of serving, exporter and controller, made by the code that makes them in production."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._serving = Metrics({"m": 0.05})
        self._lane = self._serving.lane("m")
        self._lane.watch(lambda: [Variant("champion", "champion", "3"), Variant("canary", "canary", "4")], lambda: 2)
        self._log = PredictionLog(folder / "spool", settings.serving.log)
        self._serving.register(LogCollector(self._log))
        self._release = Figures(weight=0.05, log_evidence={"errors": 0.5})
        self._serving.register(ReleaseCollector({"m": self}))
        self._exporter = CollectorRegistry()
        self._results = ResultCollector(settings)
        self._exporter.register(self._results)
        ProcessCollector(registry=self._exporter)
        self._state = ControllerState(folder / "controller.sqlite")
        test = {"column": "title", "value": 0.5, "threshold": 0.05, "breached": True}
        tests = [{**test, "kind": kind} for kind in ("unseen", "accuracy", "confidence")]
        ResultStore(settings).add({"rows": 9, "alerts": 1, "status": "alert", "tests": tests}, model="m", version="3")
        self._results.refresh()
        self._retrain()

    def _retrain(self) -> None:
        """One retraining has ended, another runs."""
        now = datetime.now(UTC)
        alert = build_alert("PostingDrift", severity="warning", labels={"model": "m"}, annotations={}, starts_at=now)
        for ending in (
            {"state": "promoted", "started_at": now, "ended_at": now},
            {"state": "running", "started_at": now},
        ):
            with self._state.writing() as writer:
                number = writer.add_retraining(
                    model="m", fingerprint=alert.fingerprint, reason="", snapshot="latest", as_of=now, not_before=None
                ).id
                writer.update(number, **ending)
                writer.save_alert(alert, action="retraining", retraining=number)

    def work(self) -> None:
        """Some traffic."""
        stages = {"features": 0.002, "encode": 0.001, "model": 0.002}
        self._lane.answered([0.01, 0.09], queue=[0.001, 0.002], stages=stages)
        self._lane.degraded("late", 1)
        self._lane.feature_age("company_stats", 7200.0)
        self._lane.variant_answered("canary", 1)
        self._lane.refused(503, "overloaded")

    def figures(self) -> Figures:
        """Of the releases of the one model."""
        return self._release

    def pages(self) -> dict[str, bytes]:
        """Page by component."""
        return {
            "serving": self._serving.exposition(),
            "exporter": generate_latest(self._exporter),
            "controller": render(self._state)[0],
        }


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(pages: Callable[[], dict[str, bytes]]) -> Iterator[int]:
    """Serves each page at `/<component>`; yields the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = pages()[self.path.strip("/")]
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


@contextmanager
def prometheus(folder: Path, config: dict[str, Any]) -> Iterator[str]:
    """Runs Prometheus with the configuration; yields its URL. Skips where there is none."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not there; Debian's package of that name brings it")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    port = free_port()
    arguments = [
        program,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "log").open("wb") as log, subprocess.Popen(arguments, stdout=log, stderr=log) as process:
        try:
            wait_until(lambda: httpx.get(f"http://127.0.0.1:{port}/-/ready").status_code == 200)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def wait_until(true: Callable[[], bool], seconds: float = 60) -> None:
    """Waits for something that takes a moment."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if true():
                return
        except httpx.TransportError:
            pass  # it does not listen yet
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.2)


def query(url: str, expression: str) -> list[dict[str, Any]]:
    """Asks for the value now; a query that Prometheus refuses fails the test."""
    answer = httpx.get(f"{url}/api/v1/query", params={"query": expression}).json()
    assert answer["status"] == "success", f"{expression}: {answer.get('error')}"
    found: list[dict[str, Any]] = answer["data"]["result"]
    return found
