"""Answers a batch of postings: features, encoding, forward pass, log, in that order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import numpy as np
import orjson

from plumbline.data.contract import PostingRequest
from serving.engine.features import BudgetedFeatures, FeatureVector
from serving.engine.served_model import ModelSlot, ServedModel
from serving.prediction_log.record import PredictionRecord


@dataclass(frozen=True, slots=True)
class Query:
    """A valid request. `received` and `deadline` are readings of `time.monotonic()`."""

    posting: PostingRequest
    request_id: str
    received: float
    deadline: float


@dataclass(frozen=True, slots=True)
class Answer:
    """The body to send, and what the metrics want to know about it."""

    body: bytes
    degraded: list[str]
    features_seconds: float
    model_seconds: float


class PredictionLog(Protocol):
    """Takes lines, and has them once it returns."""

    def append(self, lines: Sequence[bytes]) -> None:
        """Raises `UnavailableError` if the lines could not be written."""
        ...


@dataclass(frozen=True, slots=True)
class _Prediction:
    probabilities: np.ndarray
    encode_seconds: float
    forward_seconds: float


def predict(served: ServedModel, records: Sequence[Mapping[str, Any]]) -> _Prediction:
    """Probabilities of the records.

    Raises:
        ArithmeticError: The model gave something that is not a probability.
    """
    start = time.monotonic()
    batch = served.model.encode(records)
    encoded = time.monotonic()
    probabilities = served.model.forward(batch)
    done = time.monotonic()
    if not np.isfinite(probabilities).all():
        raise ArithmeticError(f"version {served.version} gave probabilities that are not finite")
    return _Prediction(probabilities, encoded - start, done - encoded)


class Predictor:
    """Answers whole batches; one at a time, off the event loop.

    Args:
        slot: Holds the served model. Read once per batch.
        features: Online features.
        log: Prediction log.
        features_budget: Seconds that features may take.
    """

    def __init__(
        self, slot: ModelSlot, features: BudgetedFeatures, log: PredictionLog, *, features_budget: float
    ) -> None:
        self._slot = slot
        self._features = features
        self._log = log
        self._features_budget = features_budget
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")

    async def answer(self, queries: Sequence[Query], *, log: bool = True) -> list[Answer]:
        """Answers in the order of the queries; logged when this returns.

        Raises:
            UnavailableError: The prediction log cannot be written.
            Exception: Whatever a posting makes the model raise.
        """
        start = time.monotonic()
        left = min(query.deadline for query in queries) - start
        postings = [query.posting.__dict__ for query in queries]
        vectors, reason = await self._features.read(postings, within=max(0.0, min(self._features_budget, left)))
        seconds = time.monotonic() - start
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._predict, queries, vectors, reason, start, seconds, log)

    def close(self) -> None:
        """Waits for the batch in flight."""
        self._thread.shutdown(wait=True)
        self._features.close()

    def _predict(
        self,
        queries: Sequence[Query],
        vectors: Sequence[FeatureVector] | None,
        reason: str | None,
        start: float,
        features_seconds: float,
        log: bool,
    ) -> list[Answer]:
        served = self._slot.current
        labels = served.model.labels
        values: list[Mapping[str, Any]] = [{}] * len(queries) if vectors is None else [v.values for v in vectors]
        records = [
            {"title": query.posting.title, "description": query.posting.description, **features}
            for query, features in zip(queries, values, strict=True)
        ]
        prediction = predict(served, records)
        reasons = [] if reason is None else [reason]
        best = prediction.probabilities.argmax(axis=1).tolist()
        shared = {
            "features": round(1000 * features_seconds, 3),
            "encode": round(1000 * prediction.encode_seconds, 3),
            "model": round(1000 * prediction.forward_seconds, 3),
        }
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        done = time.monotonic()
        lines: list[bytes] = []
        answers: list[Answer] = []
        for row, (query, label_index) in enumerate(zip(queries, best, strict=True)):
            label = labels[label_index]
            probability = float(prediction.probabilities[row, label_index])
            timings = {
                "queue": round(1000 * (start - query.received), 3),
                **shared,
                "total": round(1000 * (done - query.received), 3),
            }
            body = orjson.dumps(
                {
                    "posting_id": query.posting.posting_id,
                    "request_id": query.request_id,
                    "label": label,
                    "probability": probability,
                    "model": {"name": served.name, "version": served.version},
                    "degraded": bool(reasons),
                    "degraded_reasons": reasons,
                    "timings_ms": timings,
                }
            )
            answers.append(
                Answer(body, reasons, features_seconds, prediction.encode_seconds + prediction.forward_seconds)
            )
            lines.append(
                PredictionRecord(
                    request_id=query.request_id,
                    time=now,
                    posting_id=query.posting.posting_id,
                    event_timestamp=query.posting.event_timestamp.astimezone(UTC).isoformat(),
                    company=query.posting.company,
                    board=query.posting.board,
                    features=values[row],
                    features_expired=[] if vectors is None else vectors[row].expired,
                    features_missing=[] if vectors is None else vectors[row].missing,
                    features_later=[] if vectors is None else vectors[row].later,
                    label=label,
                    probability=probability,
                    model_name=served.name,
                    model_version=served.version,
                    degraded=bool(reasons),
                    degraded_reasons=reasons,
                    **{f"{stage}_ms": value for stage, value in timings.items()},
                ).line()
            )
        if log:
            self._log.append(lines)
        return answers
