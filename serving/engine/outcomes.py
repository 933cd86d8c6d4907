"""Tells metrics and release what became of a batch: once per batch, on the event loop, after its clients."""

from __future__ import annotations

import time
from collections.abc import Sequence

from serving.engine.computation import Stages
from serving.engine.items import Item
from serving.engine.query import Role
from serving.engine.release_hook import Outcome, ReleaseHook
from serving.telemetry.metrics import LaneMetrics


class Observer:
    """Counts one lane's batches.

    Args:
        metrics: The lane's counts.
    """

    def __init__(self, metrics: LaneMetrics) -> None:
        self._metrics = metrics

    def singles(self, batch: Sequence[Item], stages: Stages) -> None:
        """A batch of single queries."""
        answered = [item for item in batch if item.answer is not None and item.logged]
        if not answered:
            return
        now = time.monotonic()
        self._metrics.answered(
            [now - item.query.received for item in answered],
            queue=[item.answer.timings.queue / 1000 for item in answered if item.answer is not None],
            stages=_seconds(stages),
        )
        self._common(answered)

    def bulk(self, batch: Sequence[Item], stages: Stages) -> None:
        """A chunk of batch requests, whose budgets are their own."""
        answered = [item for item in batch if item.answer is not None]
        if answered:
            self._metrics.bulk_answered(len(answered), stages=_seconds(stages))
            self._common(answered)

    def tell(self, release: ReleaseHook, batch: Sequence[Item]) -> None:
        """Tells the release of each query of a batch."""
        now = time.monotonic()
        for item in batch:
            if not item.logged:
                continue
            for role, version, kind in item.failed:
                release.observe(_outcome(item, role, version, now, error=kind))
            if item.answer is not None:
                release.observe(_outcome(item, item.role, item.answer.model_version, now, error=None))

    def shadows(self, release: ReleaseHook | None, batch: Sequence[Item], seconds: float) -> None:
        """A batch of the shadow, which took so many seconds."""
        answered = sum(item.answer is not None for item in batch)
        if answered:
            self._metrics.variant_answered("shadow", answered)
        if release is None:
            return
        for item in batch:
            now = item.query.received + seconds
            for role, version, kind in item.failed:
                release.observe(_outcome(item, role, version, now, error=kind))
            if item.answer is not None:
                release.observe(_outcome(item, "shadow", item.answer.model_version, now, error=None))

    def _common(self, answered: Sequence[Item]) -> None:
        metrics = self._metrics
        canaries = 0
        reasons: dict[str, int] = {}
        for item in answered:
            canaries += item.role == "canary"
            for reason in item.degraded:
                reasons[reason] = reasons.get(reason, 0) + 1
        if canaries:
            metrics.variant_answered("canary", canaries)
        if canaries < len(answered):
            metrics.variant_answered("champion", len(answered) - canaries)
        for reason, count in reasons.items():
            metrics.degraded(reason, count)
        vector = answered[0].vector
        if vector is not None:
            for view, age in vector.age_seconds.items():
                metrics.feature_age(view, age)


def _seconds(stages: Stages) -> dict[str, float]:
    return {"features": stages.features, "encode": stages.encode, "model": stages.model}


def _outcome(item: Item, role: Role, version: str, now: float, *, error: str | None) -> Outcome:
    query, answer = item.query, item.answer if error is None else None
    return Outcome(
        role=role,
        version=version,
        request_id=query.request_id,
        seconds=now - query.received,
        budget=query.deadline - query.received,
        error=error,
        label=None if answer is None else answer.label,
        probability=None if answer is None else answer.probability,
        champion_label=None if item.champion is None else item.champion.label,
        own_seconds=0.0 if answer is None else (answer.timings.encode + answer.timings.model) / 1000,
    )
