"""The latest results as metrics for Prometheus, read from the record at each scrape."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from monitoring.results import ResultStore
from monitoring.sending import outbox
from plumbline.process.ports import require_free_port
from plumbline.settings import Settings

_RESULTS_LOOKED_AT = 50
_WHOSE = ["model", "model_version"]


class ResultCollector(Collector):
    """Metrics of the latest result of each model version."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._store = ResultStore(settings)

    def collect(self) -> Iterator[Metric]:
        """Metric families; tests that were skipped have no value."""
        value = _gauge("drift_value", "Statistic of a test.", [*_WHOSE, "test", "column"])
        threshold = _gauge("drift_threshold", "Statistic from which the test is breached.", [*_WHOSE, "test", "column"])
        breached = _gauge("drift_breached", "1 where the test is breached.", [*_WHOSE, "test", "column"])
        rows = _gauge("window_rows", "Postings in the window.", _WHOSE)
        alerts = _gauge("window_alerts", "Alerts that the window raised.", _WHOSE)
        failed = _gauge("window_failed", "1 where the window could not be judged.", _WHOSE)
        finished = _gauge("last_run_timestamp_seconds", "When the monitor last finished.", _WHOSE)
        latest = {(each["model"], each["model_version"]): each for each in self._store.latest(_RESULTS_LOOKED_AT)}
        for key, result in latest.items():
            whose = list(key)
            rows.add_metric(whose, result["rows"])
            alerts.add_metric(whose, result["alerts"])
            failed.add_metric(whose, result["status"] == "failed")
            finished.add_metric(whose, datetime.fromisoformat(result["finished_at"]).timestamp())
            for test in result["tests"]:
                if test["value"] is None:
                    continue
                labels = [*whose, test["kind"], test["column"]]
                value.add_metric(labels, test["value"])
                threshold.add_metric(labels, test["threshold"])
                breached.add_metric(labels, test["breached"])
        yield from (value, threshold, breached, rows, alerts, failed, finished)
        waiting = GaugeMetricFamily("plumbline_monitor_alerts_waiting", "Alerts that could not be delivered yet.")
        waiting.add_metric([], len(outbox(self._settings).waiting()))
        yield waiting


def serve(settings: Settings, *, port: int, stop: threading.Event) -> None:
    """Serves `/metrics` until `stop` is set.

    Raises:
        PortBusyError: Another process listens on the port.
    """
    host = settings.monitoring.exporter_host
    require_free_port(host, port, "PLUMBLINE_MONITORING__EXPORTER_PORT")
    registry = CollectorRegistry()
    registry.register(ResultCollector(settings))
    server, thread = start_http_server(port, addr=host, registry=registry)
    stop.wait()
    server.shutdown()
    server.server_close()
    thread.join()


def _gauge(name: str, text: str, labels: list[str]) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"plumbline_monitor_{name}", text, labels=labels)
