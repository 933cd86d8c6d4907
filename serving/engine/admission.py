"""Refuses early what could only be answered late, by the measured service time.

The *shape*, seconds by size, is measured when a version is warmed up: a batch of 32 takes some six times as long as
one of 1, not 32 times. What the last batches took beside it is seen in two ways: as a factor (a neighbour has half of
the processor) and as a delay (a wait for the interpreter, the disk, another model's turn). From one size to another
they lead to different times, and the smaller one counts: were large batches judged by the factor of small ones that
waited a moment, nothing but small ones would be let in, and no large one would ever show that it is quicker. An
estimate that was too low is corrected by the next batch.

Of factors and delays the median counts, and as *spread* the distance from it to a high quantile. Both are order
statistics, and not mean and deviation (as in TCP's retransmission timer: Jacobson, Congestion Avoidance and Control,
SIGCOMM 1988): where a neighbour takes the processor for a moment one batch takes a hundred times longer than the
others, and a mean would refuse for long after it what the next batch answers in time. Their breakdown points are 50%
and, of this quantile, 6% of the batches looked back on (Huber, Robust Statistics, 1981, chapter 1).

The time until k batches are over is the sum of their typical times, and a spread that grows with the root of k: the
batches' deviations are taken for independent.
"""

from __future__ import annotations

import math
import threading
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Mapping

from serving.engine.query import Query
from serving.errors import RequestRefusedError

_REMEMBERED = 63
"""Batches that the estimate looks back on: a quarter of a second under full load."""

_SLOW = 0.94
"""Quantile that stands for a slow batch: the four slowest of 63 do not count. For deviations that are normal it lies
1.55 standard deviations above the median, and `_SLOW_TO_P99` leads from there to the 99th percentile."""

_SLOW_TO_P99 = 1.5


_STANDING_SECONDS = 0.1
_STANDING_SHARE = 0.5
"""A queue that has not been empty for so long is no burst but an overload, in which a long queue serves nobody: it
makes every answer late by its length, and leaves no room for a batch that takes longer. It is then kept to this share
of the budget. (The rule, and the 100 ms, are those of Controlled Delay as request queues use it: Maurer, Fail at
Scale, ACM Queue 13(8), 2015, after Nichols and Jacobson, Controlling Queue Delay, ACM Queue 10(5), 2012.)"""


_OWN_SHARE = 0.5
"""Share of the budget that one batch may take by itself for it to be filled without asking how busy things are."""


class ServiceTime:
    """How long batches take, by their size. `seed` may be called from any thread, the rest from the event loop."""

    def __init__(self) -> None:
        self._shape: list[tuple[int, float]] = [(1, 1.0)]
        self._observed: deque[tuple[int, float]] = deque(maxlen=_REMEMBERED)  # size, seconds
        self._factors = _Recent()
        self._delays = _Recent()
        self._sizes: dict[int, float] = {}
        self._lock = threading.Lock()

    @property
    def known(self) -> bool:
        """Whether a batch has been measured."""
        return bool(self._observed)

    def seed(self, seconds: Mapping[int, float]) -> None:
        """Takes a version's seconds by size of batch for the shape; what was observed is seen in its light."""
        with self._lock:
            self._shape = sorted(seconds.items())
            self._sizes = {}
            seen = list(self._observed) or [self._shape[0]]
            self._observed.clear()
            self._factors, self._delays = _Recent(), _Recent()
            for size, taken in seen:
                self._add(size, taken)

    def observe(self, size: int, seconds: float) -> None:
        """Takes in one more batch."""
        with self._lock:
            self._add(size, seconds)

    def shape(self, size: int) -> float:
        """Seconds of a batch of this size when nothing slows it; a straight line between two measured sizes."""
        found = self._sizes.get(size)
        if found is None:
            found = self._sizes[size] = _interpolated(self._shape, size)
        return found

    def typical(self, size: int) -> float:
        """Median seconds of a batch of this size; 0 until one has been measured."""
        if not self._observed:
            return 0.0
        shape = self.shape(size)
        return max(0.0, min(shape * self._factors.median, shape + self._delays.median))

    def spread(self, size: int) -> float:
        """Seconds that a batch of this size may take longer than typical, in 99 of 100 cases."""
        return min(self.shape(size) * self._factors.spread, self._delays.spread) if self._observed else 0.0

    def promised(self, size: int) -> float:
        """Seconds within which 99 of 100 batches of this size are over; 0 until one has been measured."""
        return self.typical(size) + self.spread(size)

    def _add(self, size: int, seconds: float) -> None:
        shape = self.shape(size)
        self._observed.append((size, seconds))
        self._factors.add(seconds / shape)
        self._delays.add(seconds - shape)


class _Recent:
    """Order statistics of the last values."""

    __slots__ = ("_last", "_sorted", "median", "spread")

    def __init__(self) -> None:
        self._last: deque[float] = deque(maxlen=_REMEMBERED)
        self._sorted: list[float] = []
        self.median = 0.0
        self.spread = 0.0

    def add(self, value: float) -> None:
        """Takes in one more."""
        values = self._sorted
        if len(self._last) == _REMEMBERED:
            del values[bisect_left(values, self._last[0])]
        self._last.append(value)
        insort(values, value)
        count = len(values)
        self.median = values[count // 2]
        self.spread = _SLOW_TO_P99 * max(0.0, values[int(_SLOW * (count - 1))] - self.median)


def _interpolated(shape: list[tuple[int, float]], size: int) -> float:
    place = bisect_left(shape, (size, 0.0))
    if len(shape) == 1 or (place < len(shape) and shape[place][0] == size):
        return shape[min(place, len(shape) - 1)][1]
    place = min(max(place, 1), len(shape) - 1)
    (low, before), (high, after) = shape[place - 1], shape[place]
    # Never below a tenth of the nearer one: measured times are noisy, and a line through them may fall.
    return max(before + (after - before) * (size - low) / (high - low), 0.1 * before)


class Backlog:
    """What one queue has before it: the batch that runs, and those that wait.

    Args:
        max_size: Queries that one batch takes.
    """

    def __init__(self, max_size: int) -> None:
        self.service = ServiceTime()
        """Seconds from the request for a turn to the end of the batch: waits for other users of the thread included."""

        self.leaving = ServiceTime()
        """Seconds from the end of a batch until its answers have been handed on."""

        self._max_size = max_size
        self._running: tuple[int, float] | None = None
        self._emptied: float | None = None

    @property
    def running(self) -> int:
        """Queries of the batch that runs; 0 if none does."""
        return self._running[0] if self._running is not None else 0

    def started(self, size: int, asked: float) -> None:
        """A batch runs; its turn was asked for at `asked` (`time.monotonic()`)."""
        self._running = (size, asked)

    def closed(self, left_over: int, now: float) -> None:
        """A batch was closed, and so many queries wait on."""
        if not left_over or self._emptied is None:
            self._emptied = now

    def ended(self, now: float) -> None:
        """The batch that ran is over."""
        if self._running is not None:
            size, asked = self._running
            self.service.observe(size, now - asked)
            self._running = None

    def seconds_until_answered(self, queries: int, now: float) -> float:
        """Until the last of so many waiting queries is answered, in 99 of 100 cases; 0 before anything was measured.

        Args:
            queries: Those that wait, the one in question included.
            now: `time.monotonic()`.
        """
        service = self.service
        whole, rest = divmod(queries, self._max_size)
        sizes = [(whole, self._max_size)] if whole else []
        if rest:
            # Behind a full batch the last one fills up too before its turn comes.
            sizes.append((1, self._max_size if whole else rest))
        seconds = squares = 0.0
        for count, size in sizes:
            spread = service.spread(size)
            seconds += count * service.typical(size)
            squares += count * spread * spread
        if self._running is not None:
            size, asked = self._running
            # What takes longer than it should is expected to take as long again.
            seconds += abs(service.typical(size) - (now - asked))
            squares += service.spread(size) ** 2
        return seconds + math.sqrt(squares) + self.leaving.promised(1)

    def refusal(self, *, queries: int, waiting: int, budget: float, now: float) -> RequestRefusedError | None:
        """The refusal of queries that would come too late; None if they are to be let in.

        While nothing is computed one batch may fill whatever was observed, as long as what the model itself takes fits
        into half of the budget; and with nothing before it a query is let in in any case. Were an estimate wrong that
        keeps nearly everything out, nothing would ever correct it: the few that are let in one by one tell how long it
        took to refuse all others.

        Args:
            queries: All that would wait, those in question included.
            waiting: Those that wait already.
            budget: Seconds that are left.
            now: `time.monotonic()`.
        """
        if self._running is None and (
            not waiting or (queries <= self._max_size and self.service.shape(queries) <= _OWN_SHARE * budget)
        ):
            return None
        expected = self.seconds_until_answered(queries, now)
        standing = waiting and self._emptied is not None and now - self._emptied > _STANDING_SECONDS
        allowed = budget * _STANDING_SHARE if standing else budget
        return None if expected <= allowed else overloaded(waiting, expected, budget)


def overloaded(waiting: int, expected: float, budget: float) -> RequestRefusedError:
    """503, with the seconds after which a retry makes sense."""
    return RequestRefusedError(
        503,
        "overloaded",
        f"{waiting} requests wait, and an answer would take about {1000 * expected:.0f} ms: more than the "
        f"{1000 * budget:.0f} ms that are left of the budget. Retry later, send less, or add replicas.",
        retry_after=max(1, math.ceil(expected - budget)),
    )


def too_many(waiting: int, limit: int) -> RequestRefusedError:
    """503: the queue is full, whatever the estimate says."""
    return RequestRefusedError(
        503,
        "overloaded",
        f"{waiting} requests wait, and no more than {limit} may. Retry later, send less, or add replicas.",
        retry_after=1,
    )


def exceeded(query: Query, now: float) -> RequestRefusedError:
    """504: when a batch could take it, its time was over, or would have been before the answer; it was not computed."""
    return RequestRefusedError(
        504,
        "budget-exceeded",
        f"Of a budget of {1000 * (query.deadline - query.received):.0f} ms the request had waited "
        f"{1000 * (now - query.received):.0f} ms when a batch could take it, which leaves too little to answer in. "
        "It was not computed. Give it a larger budget, or retry later.",
    )
