"""Refuses early what could only be answered late, by the measured service time."""

from __future__ import annotations

import math

from serving.errors import RequestRefusedError

_WEIGHT = 0.2
"""Weight of the newest batch: the estimate follows a change of load within some ten batches."""


class ServiceTime:
    """Exponentially weighted mean of the seconds that a batch takes."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._seen = False

    @property
    def seconds(self) -> float:
        """Expected seconds of the next batch; 0 until one has been measured."""
        return self._seconds

    def observe(self, seconds: float) -> None:
        """Takes in the seconds of one more batch."""
        self._seconds = seconds if not self._seen else self._seconds + _WEIGHT * (seconds - self._seconds)
        self._seen = True


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
