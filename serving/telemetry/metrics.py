"""What Prometheus sees of an endpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from serving.telemetry.histogram import LoopHistogram

_BATCH_EDGES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_AGE_EDGES = tuple(3600.0 * hours for hours in (1, 3, 6, 12, 24, 48, 96, 168, 336, 720, 2160))
_BUDGET_SHARES = (0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.5, 2.0, 5.0, 20.0)
STAGES = ("queue", "features", "encode", "model")
ALIAS_STATES = ("followed", "uncovered", "gone", "failed")
_PRESENT_FROM_THE_START = (("500", "prediction-failed"), ("503", "overloaded"), ("504", "budget-exceeded"))
"""Refusals that alerts look at: a rate does not see how a series appears."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A version that is in memory, as `plumbline_model` shows it."""

    role: str
    alias: str
    version: str


class LaneMetrics:
    """Counts of one model. Filled on the event loop; its series are looked up once.

    Args:
        metrics: Of the endpoint.
        model: Name of the model.
        budget_seconds: Its latency budget.
    """

    def __init__(self, metrics: Metrics, model: str, budget_seconds: float) -> None:
        self._metrics = metrics
        self._model = model
        self._budget = budget_seconds
        self._answered = metrics.requests.labels(model, "200", "")
        for status, reason in _PRESENT_FROM_THE_START:
            metrics.requests.labels(model, status, reason)
        self._within = metrics.within.labels(model)
        self._seconds = metrics.seconds.cells(model)
        self._sizes = metrics.sizes.cells(model)
        self._stages = {stage: metrics.stages.cells(model, stage) for stage in STAGES}
        self.alias_state("followed")
        metrics.budgets.labels(model).set(budget_seconds)

    def answered(self, seconds: Sequence[float], *, queue: Sequence[float], stages: Mapping[str, float]) -> None:
        """Counts the answers of one batch.

        Args:
            seconds: From arrival to answer, each.
            queue: From arrival until the batch was closed, each.
            stages: Seconds of the whole batch by stage, without `queue`.
        """
        count = len(seconds)
        self._answered.inc(count)
        self._seconds.observe_all(seconds)
        budget = self._budget
        if within := sum(second <= budget for second in seconds):
            self._within.inc(within)
        self._sizes.observe(count)
        self._stages["queue"].observe_all(queue)
        for stage, value in stages.items():
            self._stages[stage].observe(value, count)

    def bulk_answered(self, count: int, *, stages: Mapping[str, float]) -> None:
        """Counts answers of batch requests, computed in one go; their budget is not that of single requests.

        Args:
            count: Answers.
            stages: Seconds of the whole chunk by stage.
        """
        self._answered.inc(count)
        self._sizes.observe(count)
        for stage, value in stages.items():
            self._stages[stage].observe(value, count)

    def degraded(self, reason: str, count: int) -> None:
        """Counts answers that were given with defaults for features."""
        self._metrics.degraded.labels(self._model, reason).inc(count)

    def refused(self, status: int, reason: str) -> None:
        """Counts a request that got no prediction: the status that its client saw, and the kind of problem."""
        self._metrics.requests.labels(self._model, str(status), reason).inc()

    def feature_age(self, view: str, seconds: float) -> None:
        """Counts the age of a view's row at its posting's time; one row of each batch is enough."""
        self._metrics.ages.cells(self._model, view).observe(seconds)

    def variant_answered(self, role: str, count: int) -> None:
        """Counts computed answers of a variant, those of the shadow among them."""
        self._metrics.variants.labels(self._model, role).inc(count)

    def shadow_dropped(self) -> None:
        """Counts a copy that the shadow was not given, because there was no time to spare."""
        self._metrics.shadow_dropped.labels(self._model).inc()

    def loaded(self, outcome: str) -> None:
        """Counts a load of a version: `loaded` or `failed`."""
        self._metrics.loads.labels(self._model, outcome).inc()

    def alias_state(self, state: str) -> None:
        """Shows how the model's alias is followed; one of `ALIAS_STATES`."""
        for each in ALIAS_STATES:
            self._metrics.alias_states.labels(self._model, each).set(each == state)

    def watch(self, variants: Callable[[], Sequence[Variant]], waiting: Callable[[], int]) -> None:
        """Adds what is read only when somebody asks: what is in memory, and the length of the queue."""
        self._metrics.models.variants[self._model] = variants
        self._metrics.waiting.labels(self._model).set_function(waiting)


class Metrics:
    """What `/metrics` shows of a replica.

    Args:
        budgets: Latency budget by model, seconds. Each is an edge of the buckets: the share of answers inside it is
            then exact.
    """

    def __init__(self, budgets: Mapping[str, float]) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        edges = sorted({round(budget * share, 6) for budget in budgets.values() for share in _BUDGET_SHARES})
        self.requests = self._counter(
            "requests", "Requests by status and kind of problem.", ["model", "status", "reason"]
        )
        self.within = self._counter("within_budget", "Answers no later than the model's budget.", ["model"])
        self.degraded = self._counter("degraded", "Answers with defaults for features.", ["model", "reason"])
        self.loads = self._counter("model_loads", "Loads of a version by outcome.", ["model", "outcome"])
        self.alias_states = self._gauge(
            "model_alias_state", "Whether the champion's alias is in this state.", ["model", "state"]
        )
        self.variants = self._counter(
            "variant_answers", "Computed answers by role; the shadow's are never sent.", ["model", "role"]
        )
        self.shadow_dropped = self._counter(
            "shadow_dropped", "Copies that the shadow was not given for want of time.", ["model"]
        )
        self.budgets = self._gauge("latency_budget_seconds", "The model's budget.", ["model"])
        self.waiting = self._gauge("waiting", "Requests that are in no batch yet.", ["model"])
        self.seconds = self._histogram(
            "request_seconds", "Time from the arrival of an answered request to its answer.", ["model"], edges
        )
        self.stages = self._histogram("stage_seconds", "Time of a stage, per request.", ["model", "stage"], edges)
        self.sizes = self._histogram("batch_size", "Requests per batch.", ["model"], _BATCH_EDGES)
        self.ages = self._histogram(
            "feature_age_seconds", "Age of a view's row at its posting's time.", ["model", "view"], _AGE_EDGES
        )
        self.models = _Models()
        self._registry.register(self.models)
        self._lanes = {model: LaneMetrics(self, model, budget) for model, budget in budgets.items()}
        for model in budgets:
            for outcome in ("loaded", "failed"):
                self.loads.labels(model, outcome)

    def lane(self, model: str) -> LaneMetrics:
        """The counts of one of the models."""
        return self._lanes[model]

    def watch_compute(self, busy_seconds: Callable[[], float]) -> None:
        """Adds for how long the batch that runs has run: one that grows past seconds hangs."""
        gauge = Gauge(
            "plumbline_compute_busy_seconds", "For how long the running batch has run.", registry=self._registry
        )
        gauge.set_function(busy_seconds)

    def register(self, collector: Collector) -> None:
        """Adds series that another part keeps."""
        self._registry.register(collector)

    def exposition(self) -> bytes:
        """Prometheus text format."""
        return generate_latest(self._registry)

    def _counter(self, name: str, text: str, labels: list[str]) -> Counter:
        return Counter(f"plumbline_{name}", text, labels, registry=self._registry)

    def _gauge(self, name: str, text: str, labels: list[str]) -> Gauge:
        return Gauge(f"plumbline_{name}", text, labels, registry=self._registry)

    def _histogram(self, name: str, text: str, labels: list[str], edges: Sequence[float]) -> LoopHistogram:
        histogram = LoopHistogram(f"plumbline_{name}", text, labels, edges)
        self._registry.register(histogram)
        return histogram


class _Models(Collector):
    """What is in memory, by model."""

    def __init__(self) -> None:
        self.variants: dict[str, Callable[[], Sequence[Variant]]] = {}

    def describe(self) -> list[GaugeMetricFamily]:
        return [self._family()]

    def collect(self) -> list[GaugeMetricFamily]:
        family = self._family()
        for model, variants in self.variants.items():
            for variant in variants():
                family.add_metric([model, variant.role, variant.alias, variant.version], 1)
        return [family]

    @staticmethod
    def _family() -> GaugeMetricFamily:
        return GaugeMetricFamily(
            "plumbline_model",
            "Always 1; the labels say what is in memory.",
            labels=["name", "role", "alias", "version"],
        )
