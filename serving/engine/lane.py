"""One served model: its variants, its admission, its queues."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from serving.engine.admission import too_many
from serving.engine.computation import Computation, Stages
from serving.engine.compute import Compute
from serving.engine.items import Bulk, Item, Single
from serving.engine.outcomes import Observer
from serving.engine.query import Answer, Query, Role
from serving.engine.queue import BatchQueue
from serving.engine.release_hook import ReleaseHook
from serving.engine.served_model import ServedModel
from serving.engine.shadow import ShadowQueue
from serving.engine.variants import ModelStatus, Variants
from serving.engine.warm_up import measure
from serving.errors import RequestRefusedError
from serving.samples import sample_postings
from serving.telemetry.metrics import LaneMetrics, Variant

_log = logging.getLogger(__name__)

_READINESS_SECONDS = 5.0
_CLOSE_SECONDS = 5.0
_CLOSE_LOOK_SECONDS = 0.005


class Lane:
    """One served model. Used on the event loop.

    Args:
        name: Of the registered model.
        variants: Its loaded versions.
        computation: Answers its batches.
        compute: The thread on which it does, shared by all lanes.
        metrics: Its counts.
        budget_seconds: Latency budget of a query that brings none.
        max_batch_size: Queries per batch.
        max_batch_wait: Seconds that an open batch waits for companions while nothing is being answered.
        max_waiting: Queries that may wait.
        inline_seconds: Batches that took no longer than this in a version's warm-up are computed on the event loop.
        chunk_size: Queries of batch requests that are computed in one go.
        max_waiting_in_bulk: Queries of batch requests that may wait.
    """

    def __init__(
        self,
        name: str,
        *,
        variants: Variants,
        computation: Computation,
        compute: Compute,
        metrics: LaneMetrics,
        budget_seconds: float,
        max_batch_size: int,
        max_batch_wait: float,
        max_waiting: int,
        inline_seconds: float,
        chunk_size: int,
        max_waiting_in_bulk: int,
    ) -> None:
        self.name = name
        self.budget_seconds = budget_seconds
        self.max_batch_size = max_batch_size
        self.chunk_size = chunk_size
        self.variants = variants
        self.release: ReleaseHook | None = None
        self._max_waiting = max_waiting
        self._inline_seconds = inline_seconds
        self._max_waiting_in_bulk = max_waiting_in_bulk
        self._metrics = metrics
        self._observer = Observer(metrics)
        self._singles = BatchQueue(
            compute,
            computation.answer,
            self._single_batch,
            rank=0,
            max_size=max_batch_size,
            max_wait=max_batch_wait,
        )
        self._chunks = BatchQueue(compute, computation.answer, self._bulk_batch, rank=1, max_size=chunk_size)
        metrics.watch(self._loaded, lambda: self.waiting)
        self._shadows = ShadowQueue(
            compute,
            computation.answer_shadow,
            self._shadow_batch,
            self._shadows_dropped,
            max_size=max_batch_size,
        )

    def status(self) -> list[ModelStatus]:
        """The loaded versions, the champion first."""
        return self.variants.status()

    @property
    def waiting(self) -> int:
        """Queries that are in no batch yet, those of batch requests included."""
        return self._singles.waiting + self._chunks.waiting

    def overloaded(self, budget: float, *, coming: int = 0) -> RequestRefusedError | None:
        """The refusal that a query would get now; None if it would be let in.

        Args:
            budget: Seconds that it has left.
            coming: Queries that were told that they would be let in and are not there yet.
        """
        waiting = self._singles.waiting + coming
        if waiting >= self._max_waiting:
            return too_many(waiting, self._max_waiting)
        return self._singles.backlog.refusal(queries=waiting + 1, waiting=waiting, budget=budget, now=time.monotonic())

    def overloaded_in_bulk(self, budget: float, *, queries: int) -> RequestRefusedError | None:
        """The refusal that a batch request would get now; None if it would be let in.

        Args:
            budget: Seconds that it has left.
            queries: Its postings.
        """
        waiting = self._chunks.waiting
        if waiting and waiting + queries > self._max_waiting_in_bulk:
            return too_many(waiting, self._max_waiting_in_bulk)
        return self._chunks.backlog.refusal(
            queries=waiting + queries, waiting=waiting, budget=budget, now=time.monotonic()
        )

    async def answer(self, query: Query) -> Answer:
        """Admits a query, and answers it with the batch that takes it; logged when this returns.

        Cancelling the task that awaits this takes the query out of its batch. What is being computed already is
        computed, and logged, to the end: its neighbours need it.

        Raises:
            RequestRefusedError: 503 if the answer would come too late or cannot be logged, 504 if its time was over
                when a batch could take it, 500 if the model cannot answer this posting.
        """
        refusal = self.overloaded(query.deadline - time.monotonic())
        if refusal is not None:
            raise refusal
        item = Single(query, self._role_of(query))
        self._singles.add((item,))
        return await self._awaited(item)

    async def answer_all(self, queries: Sequence[Query]) -> list[Answer | RequestRefusedError]:
        """Answers the queries of one batch request, in chunks; single queries go first.

        Returns:
            Each query's answer or its refusal (500, 503 or 504 as `answer` raises them), in order.

        Raises:
            RequestRefusedError: 503 if the whole of it would come too late.
        """
        if not queries:
            return []
        budget = min(query.deadline for query in queries) - time.monotonic()
        refusal = self.overloaded_in_bulk(budget, queries=len(queries))
        if refusal is not None:
            raise refusal
        bulk = Bulk(len(queries))
        items = bulk.items(queries, [self._role_of(query) for query in queries])
        self._chunks.add(items)
        try:
            await bulk.future
        except asyncio.CancelledError:
            self._chunks.discard(items)
            raise
        return [result for result in bulk.results if result is not None]

    def seed(self, seconds: Mapping[int, float]) -> None:
        """Takes a version's measured seconds by size of batch as the shape of service times; from any thread."""
        for queue in (self._singles, self._chunks):
            queue.backlog.service.seed(seconds)
            queue.batch_time.seed(seconds)
        self._singles.inline = self._is_quick(seconds, self.max_batch_size)
        self._chunks.inline = self._is_quick(seconds, self.chunk_size)
        self._shadows.inline = self._singles.inline

    def _is_quick(self, seconds: Mapping[int, float], size: int) -> bool:
        measured = [taken for batch, taken in seconds.items() if batch <= size]
        return bool(measured) and max(measured) <= self._inline_seconds

    def warm_up(self, served: ServedModel) -> None:
        """Makes a version's first predictions, which cost ten times later ones, at every size; from any thread."""
        measure(served, largest=max(self.max_batch_size, self.chunk_size))

    async def unready_because(self) -> str | None:
        """Makes a real prediction, features included, that is not logged; None if it succeeded, else the reason."""
        for queue in (self._singles, self._chunks):
            if queue.stalled:
                return f"a batch has hung for {queue.stalled:.0f} s"
        received = time.monotonic()
        posting = sample_postings(datetime.now(UTC))[0]
        item = Single(Query(posting, "readiness", received, received + _READINESS_SECONDS), logged=False)
        self._singles.add((item,))
        try:
            await asyncio.wait_for(self._awaited(item), _READINESS_SECONDS)
        except TimeoutError:
            return f"no prediction within {_READINESS_SECONDS:.0f} s"
        except RequestRefusedError as error:
            # The refusal's own words are for clients; who runs the endpoint is told what is behind them.
            return f"{type(item.error).__name__}: {item.error}" if item.error is not None else str(error)
        return None

    async def close(self) -> None:
        """Answers what waits, then stops; gives up on a batch that hangs."""
        self._shadows.drop_all()
        deadline = time.monotonic() + _CLOSE_SECONDS
        while not (self._singles.idle and self._chunks.idle and self._shadows.idle) and time.monotonic() < deadline:
            await asyncio.sleep(_CLOSE_LOOK_SECONDS)
            self._shadows.drop_all()

    async def _awaited(self, item: Single) -> Answer:
        try:
            return await item.future
        except asyncio.CancelledError:
            self._singles.discard((item,))
            raise

    def _role_of(self, query: Query) -> Role:
        release = self.release
        if release is None or self.variants.canary is None or query.pinned:
            return "champion"
        try:
            return release.role_of(query)
        except Exception:  # noqa: BLE001 - a fault of the release must not cost an answer
            _log.exception("The release could not assign request %s; the champion answers it.", query.request_id)
            return "champion"

    def _single_batch(self, batch: Sequence[Item], stages: Stages) -> None:
        self._observer.singles(batch, stages)
        self._released(batch)

    def _bulk_batch(self, batch: Sequence[Item], stages: Stages) -> None:
        self._observer.bulk(batch, stages)
        self._released(batch)

    def _released(self, batch: Sequence[Item]) -> None:
        release = self.release
        if release is None:
            return
        self._observer.tell(release, batch)
        if self.variants.shadow is not None:
            copies = [
                Item(item.query, "shadow", vector=item.vector, degraded=item.degraded, champion=item.answer)
                for item in batch
                if item.logged and item.role == "champion" and item.answer is not None and release.shadows(item.query)
            ]
            if copies:
                self._shadows.add(copies)

    def _loaded(self) -> list[Variant]:
        return [Variant(status.role, status.alias, status.version) for status in self.status()]

    def _shadow_batch(self, batch: Sequence[Item], seconds: float) -> None:
        self._observer.shadows(self.release, batch, seconds)

    def _shadows_dropped(self, count: int) -> None:
        for _ in range(count):
            self._metrics.shadow_dropped()
