"""Answers a batch: features, encoding, forward pass, log, in that order."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from serving.engine.features import BudgetedFeatures
from serving.engine.inference import infer
from serving.engine.items import Item
from serving.engine.query import Answer, Role, Timings
from serving.engine.served_model import ServedModel
from serving.engine.variants import Variants
from serving.prediction_log.record import PredictionRecord

_NOTHING: Mapping[str, Any] = {}


class PredictionLog(Protocol):
    """Takes records, and has them once it returns."""

    def append(self, records: Sequence[PredictionRecord]) -> None:
        """Raises `UnavailableError` if the records could not be written."""
        ...


@dataclass(slots=True)
class Stages:
    """Seconds of a whole batch."""

    features: float = 0.0
    encode: float = 0.0
    model: float = 0.0


class Computation:
    """Answers the batches of one lane.

    Args:
        variants: Read once per batch.
        features: Online features.
        log: Prediction log.
        features_budget: Seconds that features may take.
    """

    def __init__(
        self, variants: Variants, features: BudgetedFeatures, log: PredictionLog, *, features_budget: float
    ) -> None:
        self._variants = variants
        self._features = features
        self._log = log
        self._features_budget = features_budget

    def answer(self, items: Sequence[Item], closed: float, expected: float) -> Stages:
        """Gives each item its answer or its error; what is answered is logged when this returns.

        A query that was cancelled while this ran is logged like any other: the log says what the model answered, and
        whether an answer reached its client is known to nobody in any case.

        Args:
            items: The batch.
            closed: `time.monotonic()` at which it was closed.
            expected: Seconds that the batch should take; features are not waited for beyond what that leaves.
        """
        stages = Stages()
        self._read_features(items, closed, expected, stages)
        records: list[PredictionRecord] = []
        canary = self._variants.canary
        rest: Sequence[Item] = items
        if canary is not None and (chosen := [item for item in items if item.role == "canary"]):
            self._classify(canary, "canary", chosen, closed, stages, records)
            rest = [item for item in items if item.role != "canary"] + _left_to_champion(chosen)
        if rest:
            self._classify(self._variants.champion.current, "champion", rest, closed, stages, records)
        self._write(items, records)
        return stages

    def answer_shadow(self, items: Sequence[Item], closed: float) -> Stages:
        """Gives each item the shadow's answer, logged under its role; features are those that the champion had."""
        stages = Stages()
        shadow = self._variants.shadow
        if shadow is None:
            return stages
        records: list[PredictionRecord] = []
        self._classify(shadow, "shadow", items, closed, stages, records)
        self._write(items, records)
        return stages

    def _read_features(self, items: Sequence[Item], closed: float, expected: float, stages: Stages) -> None:
        left = min(item.query.deadline for item in items) - closed - expected
        postings = [item.query.posting.__dict__ for item in items]
        vectors, reason = self._features.read(postings, within=min(self._features_budget, left))
        for item, vector in zip(items, vectors, strict=True):
            item.vector = vector
            if vector is None and reason is not None:
                item.degraded.append(reason)
        stages.features = time.monotonic() - closed

    def _classify(
        self,
        served: ServedModel,
        role: Role,
        items: Sequence[Item],
        closed: float,
        stages: Stages,
        records: list[PredictionRecord],
    ) -> None:
        """Adds each item's answer, and its line of the log, or its error."""
        inference = infer(
            served,
            [
                {
                    "title": item.query.posting.title,
                    "description": item.query.posting.description,
                    **(_NOTHING if item.vector is None else item.vector.values),
                }
                for item in items
            ],
        )
        stages.encode += inference.encode_seconds
        stages.model += inference.forward_seconds
        labels = served.model.labels
        best = inference.probabilities.argmax(axis=1)
        highest = inference.probabilities.max(axis=1).tolist()
        features_ms = round(1000 * stages.features, 3)
        encode_ms = round(1000 * inference.encode_seconds, 3)
        model_ms = round(1000 * inference.forward_seconds, 3)
        instant = datetime.now(UTC)
        done = time.monotonic()
        for row, (item, index, probability) in enumerate(zip(items, best.tolist(), highest, strict=True)):
            if row in inference.errors:
                item.error = inference.errors[row]
                item.failed.append((role, served.version, type(item.error).__name__))
                continue
            query, posting, vector = item.query, item.query.posting, item.vector
            queue_ms = round(1000 * (closed - query.received), 3)
            total_ms = round(1000 * (done - query.received), 3)
            item.error = None
            item.role = role
            item.answer = Answer(
                query.request_id,
                posting.posting_id,
                labels[index],
                probability,
                inference.probabilities[row],
                labels,
                served.name,
                served.version,
                role,
                item.degraded,
                Timings(queue_ms, features_ms, encode_ms, model_ms, total_ms),
            )
            if not item.logged:
                continue
            records.append(
                PredictionRecord(
                    query.request_id,
                    instant,
                    posting.posting_id,
                    posting.event_timestamp,
                    posting.company,
                    posting.board,
                    _NOTHING if vector is None else vector.values,
                    () if vector is None else vector.expired,
                    () if vector is None else vector.missing,
                    () if vector is None else vector.later,
                    labels[index],
                    probability,
                    served.name,
                    served.version,
                    bool(item.degraded),
                    item.degraded,
                    queue_ms,
                    features_ms,
                    encode_ms,
                    model_ms,
                    total_ms,
                    role,
                    query.client,
                )
            )

    def _write(self, items: Sequence[Item], records: Sequence[PredictionRecord]) -> None:
        if not records:
            return
        start = time.monotonic()
        try:
            self._log.append(records)
        except Exception as error:  # noqa: BLE001 - nobody gets an answer without its record; told to each client
            for item in items:
                if item.logged and item.answer is not None:
                    item.answer, item.error = None, error
            return
        log_ms = round(1000 * (time.monotonic() - start), 3)
        for item in items:
            if item.answer is not None:
                item.answer.timings.log = log_ms


def _left_to_champion(chosen: Sequence[Item]) -> list[Item]:
    """Those that the canary failed on and that have time left; the others keep the canary's error."""
    now = time.monotonic()
    return [item for item in chosen if item.error is not None and item.query.deadline > now]
