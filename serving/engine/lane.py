"""One served model: its variants, its admission, its queue."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import orjson

from serving.engine.admission import ServiceTime, admit
from serving.engine.batcher import Batcher
from serving.engine.predictor import Answer as OldAnswer
from serving.engine.predictor import Predictor
from serving.engine.predictor import Query as OldQuery
from serving.engine.query import Answer, Query, Timings
from serving.engine.release_hook import ReleaseHook
from serving.engine.variants import ModelStatus, Variants
from serving.errors import RequestRefusedError, UnavailableError
from serving.samples import sample_postings
from serving.telemetry.metrics import Metrics

_READINESS_SECONDS = 5.0
_log = logging.getLogger(__name__)


class Lane:
    """One served model."""

    def __init__(
        self,
        name: str,
        *,
        variants: Variants,
        predictor: Predictor,
        metrics: Metrics,
        budget_seconds: float,
        max_batch_size: int,
        max_waiting: int,
    ) -> None:
        self.name = name
        self.budget_seconds = budget_seconds
        self.max_batch_size = max_batch_size
        self.variants = variants
        self.release: ReleaseHook | None = None
        self._max_waiting = max_waiting
        self._predictor = predictor
        self._batcher: Batcher[OldQuery, OldAnswer] = Batcher(
            predictor.answer,
            max_size=max_batch_size,
            max_wait=0.0,
            service_time=ServiceTime(),
            on_batch=metrics.batch,
        )
        self._metrics = metrics
        metrics.watch(lambda: variants.champion.current, lambda: self._batcher.waiting)

    def status(self) -> list[ModelStatus]:
        """The loaded versions, the champion first."""
        return self.variants.status()

    def overloaded(self, budget: float) -> RequestRefusedError | None:
        """The refusal that a query with this budget (seconds) would get now; None if it would be let in."""
        try:
            self._admit(budget)
        except RequestRefusedError as error:
            return error
        return None

    async def answer(self, query: Query) -> Answer:
        """Admits, batches and answers; logged when this returns."""
        self._admit(query.deadline - query.received)
        old = OldQuery(query.posting, query.request_id, query.received, query.deadline)
        try:
            answer = await self._batcher.submit(old, deadline=query.deadline)
        except UnavailableError as error:
            raise RequestRefusedError(503, "unavailable", f"Not answered: {error}.", retry_after=1) from error
        except Exception as error:
            _log.exception("Request %s could not be answered.", query.request_id)
            raise RequestRefusedError(
                500, "prediction-failed", f"The model cannot answer this posting ({type(error).__name__})."
            ) from error
        body = orjson.loads(answer.body)
        self._metrics.answered(
            time.monotonic() - query.received, answer.features_seconds, answer.model_seconds, answer.degraded
        )
        served = self.variants.champion.current
        return Answer(
            request_id=query.request_id,
            posting_id=body["posting_id"],
            label=body["label"],
            probability=body["probability"],
            probabilities=np.zeros(len(served.model.labels), np.float32),
            labels=served.model.labels,
            model_name=body["model"]["name"],
            model_version=body["model"]["version"],
            role="champion",
            degraded_reasons=answer.degraded,
            timings=Timings(**body["timings_ms"]),
        )

    async def answer_all(self, queries: Sequence[Query]) -> list[Answer | RequestRefusedError]:
        """Answers many queries; each gets its answer or its refusal, in order."""
        answers = await asyncio.gather(*(self.answer(query) for query in queries), return_exceptions=True)
        found: list[Answer | RequestRefusedError] = []
        for answer in answers:
            if not isinstance(answer, Answer | RequestRefusedError):
                raise answer
            found.append(answer)
        return found

    async def unready_because(self) -> str | None:
        """Makes a real prediction that is not logged; None if it succeeded, else the reason."""
        received = time.monotonic()
        posting = sample_postings(datetime.now(UTC))[0]
        query = OldQuery(posting, "readiness", received, received + _READINESS_SECONDS)
        try:
            await asyncio.wait_for(self._predictor.answer([query], log=False), _READINESS_SECONDS)
        except Exception as error:  # noqa: BLE001 - whatever stands in the way is the answer
            return f"{type(error).__name__}: {error}"
        return None

    async def close(self) -> None:
        """Answers what waits, then stops."""
        await self._batcher.close()

    def _admit(self, budget: float) -> None:
        admit(
            expected_wait=self._batcher.expected_wait(),
            budget=budget,
            waiting=self._batcher.waiting,
            max_waiting=self._max_waiting,
        )
