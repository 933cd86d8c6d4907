"""Refuses early what could only be answered late, by the measured service time."""

from __future__ import annotations

import math
import statistics
from collections import deque

from serving.errors import RequestRefusedError

_REMEMBERED = 15
"""Batches that the estimate looks back on: it follows a change of load within half of them."""


class ServiceTime:
    """Median of the seconds that the last batches took.

    Not their mean: where a neighbour takes the processor for a moment, one batch takes a hundred times longer than
    the others, and a mean would refuse requests for long after it that the next batch answers in time.
    """

    def __init__(self) -> None:
        self._last: deque[float] = deque(maxlen=_REMEMBERED)
        self._median = 0.0

    @property
    def seconds(self) -> float:
        """Expected seconds of the next batch; 0 until one has been measured."""
        return self._median

    def observe(self, seconds: float) -> None:
        """Takes in the seconds of one more batch."""
        self._last.append(seconds)
        self._median = statistics.median(self._last)


def admit(*, expected_wait: float, budget: float, waiting: int, max_waiting: int) -> None:
    """Lets a request in, or refuses it.

    The wait alone is held against the budget, not wait and service: a machine that is slow for a moment then
    answers late, which a client can use, and only a queue that grows makes it refuse.

    Args:
        expected_wait: Seconds until the request would be taken into a batch.
        budget: Seconds that the client gives.
        waiting: Requests that wait already.
        max_waiting: Requests that may wait.

    Raises:
        RequestRefusedError: 503, with the seconds after which a retry makes sense.
    """
    if expected_wait <= budget and waiting < max_waiting:
        return
    raise RequestRefusedError(
        503,
        "overloaded",
        f"{waiting} requests wait, about {1000 * expected_wait:.0f} ms: more than the budget of "
        f"{1000 * budget:.0f} ms. Retry later, send less, or add replicas.",
        retry_after=max(1, math.ceil(expected_wait - budget)),
    )
