"""Prometheus metrics of one replica."""

# NOTE to ENGINE and FRONT: use serving/telemetry/lane_metrics.py (Metrics, LaneMetrics: counts a batch in one call, labels by
# model, `metrics.lane(name)`, `metrics.register(collector)` for the log's and the release's own series) instead of this
# module. Once both use it: git rm this file, git mv lane_metrics.py metrics.py.
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from serving.engine.served_model import ServedModel
from serving.prediction_log.spool import spool_size

_BATCH_EDGES = (1, 2, 4, 8, 16, 32, 64, 128)


def _edges(budget_seconds: float) -> list[float]:
    """Bucket edges around the budget, which is one of them: the share of requests inside it is then exact."""
    return [round(budget_seconds * factor, 6) for factor in (0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.5, 2.0, 5.0, 20.0)]


class Metrics:
    """What `/metrics` shows. Label children of the hot path are resolved once."""

    def __init__(self, *, budget_seconds: float, spool: Path) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        edges = _edges(budget_seconds)
        self._seconds = Histogram(
            "plumbline_request_seconds",
            "Time from the arrival of an answered request to its answer.",
            buckets=edges,
            registry=self._registry,
        )
        self._requests = Counter(
            "plumbline_requests", "Classify requests by status.", ["status"], registry=self._registry
        )
        self._answered = self._requests.labels("200")
        for status in ("500", "503"):  # there from the start: a rate does not see how a series appears
            self._requests.labels(status)
        self._budget_seconds = budget_seconds
        self._within = Counter(
            "plumbline_within_budget",
            "Answers no later than the endpoint's budget.",
            registry=self._registry,
        )
        self._degraded = Counter(
            "plumbline_degraded", "Answers with defaults for features.", ["reason"], registry=self._registry
        )
        self._batch = Histogram(
            "plumbline_batch_size", "Requests per batch.", buckets=_BATCH_EDGES, registry=self._registry
        )
        stage = Histogram(
            "plumbline_stage_seconds",
            "Time of a stage, per request.",
            ["stage"],
            buckets=edges,
            registry=self._registry,
        )
        self._features = stage.labels("features")
        self._model = stage.labels("model")
        self._loads = Counter(
            "plumbline_model_loads", "Loads of a model version by outcome.", ["outcome"], registry=self._registry
        )
        for outcome in ("loaded", "failed"):
            self._loads.labels(outcome)
        budget = Gauge("plumbline_latency_budget_seconds", "The endpoint's budget.", registry=self._registry)
        budget.set(budget_seconds)
        self._registry.register(_Spool(spool))

    def answered(self, seconds: float, features_seconds: float, model_seconds: float, degraded: list[str]) -> None:
        """Counts one answer."""
        self._answered.inc()
        self._seconds.observe(seconds)
        if seconds <= self._budget_seconds:
            self._within.inc()
        self._features.observe(features_seconds)
        self._model.observe(model_seconds)
        for reason in degraded:
            self._degraded.labels(reason).inc()

    def refused(self, status: int) -> None:
        """Counts one request that got no prediction."""
        self._requests.labels(str(status)).inc()

    def batch(self, size: int) -> None:
        """Counts one batch."""
        self._batch.observe(size)

    def model_load(self, outcome: str) -> None:
        """Counts one load of a model version."""
        self._loads.labels(outcome).inc()

    def watch(self, current: Callable[[], ServedModel], waiting: Callable[[], int]) -> None:
        """Adds what is read only when somebody asks: the served version and the length of the queue."""
        self._registry.register(_Model(current))
        gauge = Gauge("plumbline_waiting", "Requests that are in no batch yet.", registry=self._registry)
        gauge.set_function(waiting)

    def exposition(self) -> bytes:
        """Prometheus text format."""
        return generate_latest(self._registry)


class _Spool(Collector):
    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def collect(self) -> list[GaugeMetricFamily]:
        segments, size = spool_size(self._directory)
        return [
            GaugeMetricFamily("plumbline_log_spool_segments", "Segments not shipped yet.", value=segments),
            GaugeMetricFamily("plumbline_log_spool_bytes", "Bytes not shipped yet.", value=size),
        ]


class _Model(Collector):
    def __init__(self, current: Callable[[], ServedModel]) -> None:
        self._current = current

    def describe(self) -> list[GaugeMetricFamily]:
        return [GaugeMetricFamily("plumbline_model", "Always 1; the labels say what is served.")]

    def collect(self) -> list[GaugeMetricFamily]:
        served = self._current()
        family = GaugeMetricFamily(
            "plumbline_model", "Always 1; the labels say what is served.", labels=["name", "alias", "version"]
        )
        family.add_metric([served.name, served.alias, served.version], 1)
        return [family]
