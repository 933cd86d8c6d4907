"""The shadow's queue: copies of answered queries, computed when there is time to spare, else dropped."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

from serving.engine.computation import Stages
from serving.engine.compute import Compute, Job
from serving.engine.items import Item

_STALE_SECONDS = 5.0
"""A copy that has waited this long is dropped: the endpoint has no time to spare, and the copies hold memory."""


class ShadowQueue:
    """Copies that wait for a moment in which nobody else wants to compute. Used on the event loop.

    Args:
        compute: Gives turns.
        answer: Called on it with a batch and the instant at which it was closed.
        on_batch: Told of each batch that is over, with the seconds that it took.
        on_drop: Told how many copies were dropped.
        max_size: A batch takes this many copies; twice as many may wait.
    """

    rank = 2
    inline = False

    def __init__(
        self,
        compute: Compute,
        answer: Callable[[Sequence[Item], float], Stages],
        on_batch: Callable[[Sequence[Item], float], None],
        on_drop: Callable[[int], None],
        *,
        max_size: int,
    ) -> None:
        self._compute = compute
        self._answer = answer
        self._on_batch = on_batch
        self._on_drop = on_drop
        self._max_size = max_size
        self._waiting: deque[tuple[float, Item]] = deque()
        self._batch: list[Item] = []
        self._closed = 0.0
        self._asked = False

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is being answered."""
        return not self._waiting and not self._batch

    def add(self, items: Sequence[Item]) -> None:
        """Lets copies wait; those beyond the bound are dropped."""
        now = time.monotonic()
        room = max(0, 2 * self._max_size - len(self._waiting))
        self._waiting.extend((now, item) for item in items[:room])
        if len(items) > room:
            self._on_drop(len(items) - room)
        if self._waiting and not self._asked and not self._batch:
            self._asked = True
            self._compute.request(self)

    def drop_all(self) -> None:
        """Lets go of all that waits: the endpoint stops."""
        if self._waiting:
            self._on_drop(len(self._waiting))
            self._waiting.clear()

    def begin(self) -> Job | None:
        """Closes a batch; see `Party`."""
        self._asked = False
        now = time.monotonic()
        stale = 0
        batch: list[Item] = []
        while self._waiting and len(batch) < self._max_size:
            entered, item = self._waiting.popleft()
            if now - entered > _STALE_SECONDS:
                stale += 1
            else:
                batch.append(item)
        if stale:
            self._on_drop(stale)
        if not batch:
            return None
        self._batch, self._closed = batch, now

        def job() -> None:
            self._answer(batch, now)

        return job

    def end(self, error: BaseException | None) -> None:
        """Tells of the batch; see `Party`."""
        batch, self._batch = self._batch, []
        if error is not None and isinstance(error, Exception):
            for item in batch:
                item.error = item.error or error
        self._on_batch(batch, time.monotonic() - self._closed)
        if self._waiting:
            self._asked = True
            self._compute.request(self)
