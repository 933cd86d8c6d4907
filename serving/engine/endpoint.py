"""One replica's endpoint: admission, batching, prediction and metrics, put together."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime

from plumbline.data.contract import PostingRequest
from plumbline.settings.serving import ServingSettings
from serving.engine.admission import ServiceTime, admit
from serving.engine.batcher import Batcher
from serving.engine.predictor import Answer, Predictor, Query
from serving.engine.served_model import ModelSlot
from serving.errors import RequestRefusedError, UnavailableError
from serving.http.answers import ModelStatus
from serving.http.drain import Drain
from serving.samples import sample_postings
from serving.telemetry.metrics import Metrics

_READINESS_SECONDS = 5.0
_log = logging.getLogger(__name__)


class Endpoint:
    """Answers requests, inside their budget where it can.

    Args:
        settings: Budget, batching and limits.
        slot: Holds the served model.
        predictor: Answers batches.
        metrics: Counts.
    """

    def __init__(self, settings: ServingSettings, *, slot: ModelSlot, predictor: Predictor, metrics: Metrics) -> None:
        self.metrics = metrics
        self.budget_seconds = settings.latency_budget_ms / 1000
        self.max_body_bytes = settings.max_body_bytes
        self.drain = Drain(settings.drain_file)
        self._max_waiting = settings.max_waiting
        self._slot = slot
        self._predictor = predictor
        self._batcher: Batcher[Query, Answer] = Batcher(
            predictor.answer,
            max_size=settings.max_batch_size,
            max_wait=settings.max_batch_wait_ms / 1000,
            service_time=ServiceTime(),
            on_batch=metrics.batch,
        )
        metrics.watch(lambda: slot.current, lambda: self._batcher.waiting)

    async def classify(self, posting: PostingRequest, request_id: str, received: float, budget: float) -> bytes:
        """The answer's body; it is in the prediction log when this returns.

        Args:
            posting: A valid posting.
            request_id: Names the answer in the log.
            received: `time.monotonic()` at which the request came.
            budget: Seconds that the client gives.

        Raises:
            RequestRefusedError: 503 if the queue is too long or the log cannot be written, 500 if the model
                cannot answer this posting.
        """
        admit(
            expected_wait=self._batcher.expected_wait(),
            budget=budget,
            waiting=self._batcher.waiting,
            max_waiting=self._max_waiting,
        )
        deadline = received + budget
        try:
            answer = await self._batcher.submit(Query(posting, request_id, received, deadline), deadline=deadline)
        except UnavailableError as error:
            raise RequestRefusedError(503, "unavailable", f"Not answered: {error}.", retry_after=1) from error
        except Exception as error:
            _log.exception("Request %s could not be answered.", request_id)
            raise RequestRefusedError(
                500, "prediction-failed", f"The model cannot answer this posting ({type(error).__name__})."
            ) from error
        self.metrics.answered(
            time.monotonic() - received, answer.features_seconds, answer.model_seconds, answer.degraded
        )
        return answer.body

    async def unready_because(self) -> str | None:
        """Makes a real prediction that is not logged; None if it succeeded, else the reason."""
        if self.drain.requested:
            return "draining"
        received = time.monotonic()
        posting = sample_postings(datetime.now(UTC))[0]
        query = Query(posting, "readiness", received, received + _READINESS_SECONDS)
        try:
            await asyncio.wait_for(self._predictor.answer([query], log=False), _READINESS_SECONDS)
        except Exception as error:  # noqa: BLE001 - whatever stands in the way is the answer
            return f"{type(error).__name__}: {error}"
        return None

    def model_status(self) -> ModelStatus:
        """The served model."""
        served = self._slot.current
        return ModelStatus(
            name=served.name,
            alias=served.alias,
            version=served.version,
            digest=served.digest,
            loaded_at=served.loaded_at,
            labels=len(served.model.labels),
        )

    async def close(self) -> None:
        """Answers what waits, then stops."""
        await self._batcher.close()
