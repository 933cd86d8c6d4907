"""Adaptive micro-batching on one event loop.

A batch closes when it is full, when it has waited long enough, or when the oldest request's budget leaves just
the time to answer it. While a batch is being answered the next one collects, so batches grow with the load.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from serving.engine.admission import ServiceTime
from serving.errors import UnavailableError

Query = TypeVar("Query")
Answer = TypeVar("Answer")


@dataclass(slots=True)
class _Waiting(Generic[Query, Answer]):
    query: Query
    entered: float
    deadline: float
    answer: asyncio.Future[Answer]


class Batcher(Generic[Query, Answer]):
    """Collects queries into batches for one asynchronous function that answers whole batches.

    Args:
        answer_all: Answers a batch, in its order. If it raises, the batch is halved and tried again until the
            query that it cannot answer stands alone: its neighbours are answered, it gets the exception.
            `UnavailableError` is nobody's fault and goes to the whole batch at once.
        max_size: A batch closes at this many queries.
        max_wait: Seconds that an open batch waits for companions.
        service_time: Measured time of a batch; told here, read by whoever admits queries.
        on_batch: Called with the size of each batch.
    """

    def __init__(
        self,
        answer_all: Callable[[Sequence[Query]], Awaitable[Sequence[Answer]]],
        *,
        max_size: int,
        max_wait: float,
        service_time: ServiceTime,
        on_batch: Callable[[int], None],
    ) -> None:
        self._answer_all = answer_all
        self._max_size = max_size
        self._max_wait = max_wait
        self._service_time = service_time
        self._on_batch = on_batch
        self._waiting: deque[_Waiting[Query, Answer]] = deque()
        self._arrival = asyncio.Event()
        self._batch_started: float | None = None
        self._runner: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Queries that are in no batch yet."""
        return len(self._waiting)

    def expected_wait(self) -> float:
        """Seconds until a query that came now would be taken into a batch, by the measured service time."""
        batch = self._service_time.seconds
        running = 0.0
        if self._batch_started is not None:
            running = max(0.0, batch - (time.monotonic() - self._batch_started))
        return running + (len(self._waiting) // self._max_size) * batch

    async def submit(self, query: Query, *, deadline: float) -> Answer:
        """Waits for the query's answer.

        Args:
            query: What to answer.
            deadline: `time.monotonic()` by which the answer is due.

        Raises:
            Exception: Whatever the query alone makes `answer_all` raise.
        """
        if self._runner is None:
            self._runner = asyncio.create_task(self._run(), name="batcher")
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        waiting = _Waiting(query, time.monotonic(), deadline, answer)
        self._waiting.append(waiting)
        self._arrival.set()
        return await answer

    async def close(self) -> None:
        """Answers what waits, then stops."""
        while self._waiting or self._batch_started is not None:
            await asyncio.sleep(0.005)
        if self._runner is not None:
            self._runner.cancel()
            self._runner = None

    async def _run(self) -> None:
        while True:
            if not self._waiting:
                self._arrival.clear()
                await self._arrival.wait()
            await self._collect()
            batch = [item for item in self._take() if not item.answer.done()]
            if batch:
                await self._serve(batch)

    async def _collect(self) -> None:
        """Returns once the open batch has to close."""
        while len(self._waiting) < self._max_size:
            oldest = self._waiting[0]
            latest_start = oldest.deadline - self._service_time.seconds
            left = min(oldest.entered + self._max_wait, latest_start) - time.monotonic()
            if left <= 0:
                return
            self._arrival.clear()
            try:
                await asyncio.wait_for(self._arrival.wait(), left)
            except TimeoutError:
                return

    def _take(self) -> list[_Waiting[Query, Answer]]:
        return [self._waiting.popleft() for _ in range(min(self._max_size, len(self._waiting)))]

    async def _serve(self, batch: list[_Waiting[Query, Answer]]) -> None:
        self._on_batch(len(batch))
        self._batch_started = time.monotonic()
        try:
            await self._answer(batch)
        finally:
            self._service_time.observe(time.monotonic() - self._batch_started)
            self._batch_started = None

    async def _answer(self, batch: list[_Waiting[Query, Answer]]) -> None:
        try:
            answers = await self._answer_all([item.query for item in batch])
        except UnavailableError as error:
            for item in batch:
                _fail(item, error)
        except Exception as error:  # noqa: BLE001 - whatever one query breaks must not reach its neighbours
            if len(batch) == 1:
                _fail(batch[0], error)
                return
            middle = len(batch) // 2
            await self._answer(batch[:middle])
            await self._answer(batch[middle:])
        else:
            for item, answer in zip(batch, answers, strict=True):
                if not item.answer.done():
                    item.answer.set_result(answer)


def _fail(item: _Waiting[Query, Answer], error: Exception) -> None:
    if not item.answer.done():
        item.answer.set_exception(error)
