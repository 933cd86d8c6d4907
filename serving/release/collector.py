"""The releases' figures for Prometheus, read when somebody asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


def _by_role() -> dict[str, int]:
    return {"champion": 0, "canary": 0, "shadow": 0}


@dataclass(slots=True)
class Figures:
    """Counts since the replica's start, and how the release stands now."""

    errors: dict[str, int] = field(default_factory=_by_role)
    shadow_agrees: int = 0
    rollbacks: int = 0
    failed_loads: int = 0
    weight: float = 0.0
    log_evidence: dict[str, float] = field(default_factory=dict)


class HasFigures(Protocol):
    """One model's releases."""

    def figures(self) -> Figures:
        """Its figures now."""
        ...


class ReleaseCollector(Collector):
    """Shows the figures of every model's releases; register it once per replica.

    Args:
        models: By name of the model.
    """

    def __init__(self, models: Mapping[str, HasFigures]) -> None:
        self._models = models

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        all_figures = {name: model.figures() for name, model in self._models.items()}
        errors = CounterMetricFamily(
            "plumbline_variant_errors", "Queries that a variant could not answer.", labels=["model", "role"]
        )
        agreements = CounterMetricFamily(
            "plumbline_shadow_agreements", "Shadow answers with the champion's label.", labels=["model"]
        )
        rollbacks = CounterMetricFamily(
            "plumbline_release_rollbacks", "Versions that this replica took out.", labels=["model"]
        )
        failed = CounterMetricFamily(
            "plumbline_release_failed_loads", "Loads of a released version that failed.", labels=["model"]
        )
        weight = GaugeMetricFamily(
            "plumbline_canary_weight", "Share of the clients that get the canary; 0 without one.", labels=["model"]
        )
        evidence = GaugeMetricFamily(
            "plumbline_canary_log_evidence",
            "Natural logarithm of the evidence against the canary, by test.",
            labels=["model", "test"],
        )
        for name, figures in all_figures.items():
            for role, count in figures.errors.items():
                errors.add_metric([name, role], count)
            agreements.add_metric([name], figures.shadow_agrees)
            rollbacks.add_metric([name], figures.rollbacks)
            failed.add_metric([name], figures.failed_loads)
            weight.add_metric([name], figures.weight)
            for test, value in figures.log_evidence.items():
                evidence.add_metric([name, test], value)
        yield from (errors, agreements, rollbacks, failed, weight, evidence)
