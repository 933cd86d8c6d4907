"""Queries that wait for a batch.

A batch closes when its turn to be computed has come; before that, when it is full, when it has waited long
enough for companions, or when the oldest query's budget leaves just the time to answer it. While one is answered the
next one collects, so batches grow with the load.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence

from serving.engine.admission import Backlog, ServiceTime, exceeded
from serving.engine.computation import Stages
from serving.engine.compute import Compute, Job
from serving.engine.items import Item
from serving.errors import RequestRefusedError, UnavailableError

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.05
"""How often a queue looks, while it has something to do, for what has waited in vain and for a batch that hangs."""

STALLED_SECONDS = 10.0
"""A batch that takes this long is given up: its clients are refused, and the endpoint is not ready until it ends."""


class BatchQueue:
    """One queue, and the batches that it makes. Used on the event loop.

    Args:
        compute: Gives turns.
        answer: Called in its turn with a batch, the instant at which it was closed and the seconds that it should take.
        on_batch: Told of each batch that is over, after its clients.
        rank: Whose turn comes first; see `Party`.
        max_size: A batch closes at this many queries.
        max_wait: Seconds that an open batch waits for companions while nothing is being answered.
    """

    def __init__(
        self,
        compute: Compute,
        answer: Callable[[Sequence[Item], float, float], Stages],
        on_batch: Callable[[Sequence[Item], Stages], None],
        *,
        rank: int,
        max_size: int,
        max_wait: float = 0.0,
    ) -> None:
        self.rank = rank
        self.inline = False
        self.backlog = Backlog(max_size)
        self.batch_time = ServiceTime()
        """Seconds of a batch itself, its wait for the thread left out."""

        self._compute = compute
        self._answer = answer
        self._on_batch = on_batch
        self._max_size = max_size
        self._max_wait = max_wait
        self._waiting: deque[Item] = deque()
        self._asked: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._look: asyncio.TimerHandle | None = None
        self._batch: list[Item] = []
        self._closed = 0.0
        self._stages = Stages()

    @property
    def waiting(self) -> int:
        """Queries that are in no batch yet."""
        return len(self._waiting)

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is being answered."""
        return not self._waiting and not self._batch

    @property
    def stalled(self) -> float:
        """For how long a batch has hung; 0 if none does."""
        running = time.monotonic() - self._closed if self._batch else 0.0
        return running if running >= STALLED_SECONDS else 0.0

    def add(self, items: Sequence[Item]) -> None:
        """Lets queries wait."""
        self._waiting.extend(items)
        if self._look is None:
            self._look = asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._look_around)
        if self._asked is None and not self._batch:
            self._ask_in_time()

    def discard(self, items: Sequence[Item]) -> None:
        """Takes out queries whose client is gone."""
        for item in items:
            item.settled = True
        if len(items) == 1:
            if items[0] in self._waiting:
                self._waiting.remove(items[0])
        else:
            self._waiting = deque(item for item in self._waiting if not item.settled)

    def begin(self) -> Job | None:
        """Closes a batch; see `Party`."""
        batch = self._close()
        asked, self._asked = self._asked, None
        if not batch:
            return None
        now = time.monotonic()
        self._batch, self._closed, self._stages = batch, now, Stages()
        self.backlog.started(len(batch), now if asked is None else asked)
        expected = self.batch_time.typical(len(batch))

        def job() -> None:
            self._stages = self._answer(batch, now, expected)

        return job

    def end(self, error: BaseException | None) -> None:
        """Gives the batch its answers; see `Party`."""
        now = time.monotonic()
        batch, self._batch = self._batch, []
        self.backlog.ended(now)
        self.batch_time.observe(len(batch), now - self._closed)
        if self._waiting:
            self._ask_in_time()
        failed: list[Item] = []
        for item in batch:
            if error is None and item.answer is not None:
                item.settle(item.answer)
            else:
                item.error = item.error or _known(error)
                failed.append(item)
                item.settle(_refusal(item.error))
        if failed:
            # One line for a batch: where nothing can be answered, a line for each query would be the next trouble.
            _log.error(
                "%d of %d requests of a batch could not be answered, %s among them.",
                len(failed),
                len(batch),
                failed[0].query.request_id,
                exc_info=failed[0].error,
            )
        # Runs after the clients' tasks, which were woken before it: what they took is how long answers need to leave.
        asyncio.get_running_loop().call_soon(self._left, len(batch), now)
        self._on_batch(batch, self._stages)

    def _left(self, size: int, ended: float) -> None:
        self.backlog.leaving.observe(size, time.monotonic() - ended)

    def _ask_in_time(self) -> None:
        """Asks for a turn now, or once the batch has waited for companions."""
        if self._max_wait and len(self._waiting) < self._max_size and not self._batch:
            oldest = self._waiting[0].query
            latest = oldest.deadline - self.batch_time.typical(len(self._waiting) + 1)
            wait = min(oldest.received + self._max_wait, latest) - time.monotonic()
            if wait > 0:
                if self._timer is None:
                    self._timer = asyncio.get_running_loop().call_later(wait, self._ask)
                return
        self._ask()

    def _ask(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._asked is None and self._waiting:
            self._asked = time.monotonic()
            self._compute.request(self)

    def _close(self) -> list[Item]:
        """The next batch: none whose time is over, and none whose time may be over before it is answered.

        Those are refused. Should that be all, the one with the most time left is tried nevertheless: if nothing were
        computed, an estimate that was wrong would never be corrected.
        """
        now = time.monotonic()
        size = min(self._max_size, len(self._waiting))
        answered = now + self.batch_time.promised(size) + self.backlog.leaving.promised(size) if size else now
        batch: list[Item] = []
        late: list[Item] = []
        while self._waiting and len(batch) < self._max_size:
            item = self._waiting.popleft()
            if not item.settled:
                (batch if item.query.deadline > answered else late).append(item)
        if late and not batch:
            last = max(late, key=lambda item: item.query.deadline)
            if last.query.deadline > now:
                batch.append(last)
                late.remove(last)
        for item in late:
            item.settle(exceeded(item.query, now))
        self.backlog.closed(len(self._waiting), now)
        return batch

    def _look_around(self) -> None:
        """A batch that hangs closes no other: those that wait behind it are refused once their time is over."""
        now = time.monotonic()
        if self._batch and now - self._closed >= STALLED_SECONDS:
            for item in self._batch:
                item.settle(
                    RequestRefusedError(
                        503, "unavailable", f"The model has not answered for {STALLED_SECONDS:.0f} s.", retry_after=1
                    )
                )
        if any(item.query.deadline <= now for item in self._waiting):
            kept: deque[Item] = deque()
            for item in self._waiting:
                if item.query.deadline > now:
                    kept.append(item)
                else:
                    item.settle(exceeded(item.query, now))
            self._waiting = kept
        self._look = None
        if not self.idle:
            self._look = asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._look_around)


def _known(error: BaseException | None) -> Exception:
    return error if isinstance(error, Exception) else RuntimeError(f"the computation broke off: {error!r}")


def _refusal(error: Exception) -> RequestRefusedError:
    if isinstance(error, UnavailableError):
        return RequestRefusedError(503, "unavailable", f"Not answered: {error}.", retry_after=1)
    return RequestRefusedError(
        500, "prediction-failed", f"The model cannot answer this posting ({type(error).__name__})."
    )
