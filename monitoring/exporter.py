"""The latest results as metrics for Prometheus, looked up at an interval and served from memory."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from monitoring.results import ResultStore
from monitoring.sending import outbox
from plumbline.errors import PlumblineError
from plumbline.process.ports import require_free_port
from plumbline.settings import Settings

_log = logging.getLogger(__name__)

_RESULTS_LOOKED_AT = 50
_WHOSE = ["model", "model_version"]


@dataclass(frozen=True)
class _Known:
    """What the store held when it last answered."""

    latest: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    waiting: int | None = None
    at: float | None = None


class ResultCollector(Collector):
    """Metrics of the latest result of each model version, as of the last `refresh` that succeeded."""

    def __init__(self, settings: Settings) -> None:
        self._store = ResultStore(settings)
        self._outbox = outbox(settings)
        self._known = _Known()
        self._up: bool | None = None

    def refresh(self) -> None:
        """Looks for new results. A store that is away leaves the last known ones, and `store_up` at 0."""
        try:
            results = self._store.latest(_RESULTS_LOOKED_AT)
            waiting = len(self._outbox.waiting())
            latest = {(each["model"], each["model_version"]): each for each in results}
        except (PlumblineError, OSError, ValueError, KeyError) as error:
            if self._up is not False:
                _log.warning("The results cannot be read; the last known ones are served: %s", error)
            self._up = False
            return
        self._known, self._up = _Known(latest, waiting, time.time()), True

    def collect(self) -> Iterator[Metric]:
        """Metric families; tests that were skipped have no value."""
        known, up = self._known, self._up
        yield from _of_results(known.latest)
        waiting = GaugeMetricFamily("plumbline_monitor_alerts_waiting", "Alerts that could not be delivered yet.")
        if known.waiting is not None:
            waiting.add_metric([], known.waiting)
        yield waiting
        answered = GaugeMetricFamily(
            "plumbline_monitor_store_up", "1 where the store of results answered the last time it was asked."
        )
        if up is not None:
            answered.add_metric([], up)
        yield answered
        refreshed = GaugeMetricFamily(
            "plumbline_monitor_store_refreshed_timestamp_seconds", "When the store of results last answered."
        )
        if known.at is not None:
            refreshed.add_metric([], known.at)
        yield refreshed


def _of_results(latest: dict[tuple[str, str], dict[str, Any]]) -> Iterator[Metric]:
    value = _gauge("drift_value", "Statistic of a test.", [*_WHOSE, "test", "column"])
    threshold = _gauge("drift_threshold", "Statistic from which the test is breached.", [*_WHOSE, "test", "column"])
    breached = _gauge("drift_breached", "1 where the test is breached.", [*_WHOSE, "test", "column"])
    rows = _gauge("window_rows", "Postings in the window.", _WHOSE)
    alerts = _gauge("window_alerts", "Alerts that the window raised.", _WHOSE)
    failed = _gauge("window_failed", "1 where the window could not be judged.", _WHOSE)
    unposted = _gauge("evidently_failed", "1 where the run could not be given to Evidently's pages.", _WHOSE)
    finished = _gauge("last_run_timestamp_seconds", "When the monitor last finished.", _WHOSE)
    for key, result in latest.items():
        whose = list(key)
        rows.add_metric(whose, result["rows"])
        alerts.add_metric(whose, result["alerts"])
        failed.add_metric(whose, result["status"] == "failed")
        unposted.add_metric(whose, result.get("evidently_problem") is not None)
        finished.add_metric(whose, datetime.fromisoformat(result["finished_at"]).timestamp())
        for test in result["tests"]:
            if test["value"] is None:
                continue
            labels = [*whose, test["kind"], test["column"]]
            value.add_metric(labels, test["value"])
            threshold.add_metric(labels, test["threshold"])
            breached.add_metric(labels, test["breached"])
    yield from (value, threshold, breached, rows, alerts, failed, unposted, finished)


def serve(settings: Settings, *, port: int, stop: threading.Event, starting: Callable[[], None] = lambda: None) -> None:
    """Serves `/metrics` until `stop` is set. A scrape never waits for the store: another thread asks it.

    `starting` is called once nothing is in the way any more.

    Raises:
        PortBusyError: Another process listens on the port.
    """
    host = settings.monitoring.exporter_host
    require_free_port(host, port, "--port or PLUMBLINE_MONITORING__EXPORTER_PORT")
    starting()
    collector = ResultCollector(settings)
    registry = CollectorRegistry()
    registry.register(collector)
    server, thread = start_http_server(port, addr=host, registry=registry)
    collector.refresh()
    while not stop.wait(settings.monitoring.exporter_refresh_seconds):
        collector.refresh()
    server.shutdown()
    server.server_close()
    thread.join()


def _gauge(name: str, text: str, labels: list[str]) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"plumbline_monitor_{name}", text, labels=labels)
