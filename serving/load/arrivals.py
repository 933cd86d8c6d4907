"""When requests are due, for a rate that changes with time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Arrivals = Literal["poisson", "constant"]


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of time over which the rate goes in a straight line from one value to another, per second."""

    seconds: float
    start_rate: float
    end_rate: float

    @property
    def requests(self) -> float:
        """Requests that are due in it on average."""
        return self.seconds * (self.start_rate + self.end_rate) / 2


def due_times(segments: Sequence[Segment], arrivals: Arrivals, seed: int) -> NDArray[np.float64]:
    """Instants in seconds from the start of the first segment, ascending.

    With R(t) the requests due until t, one of constant arrivals is due whenever R(t) passes a whole number. Poisson
    arrivals are conditioned on their number, so that runs are comparable: given the number, they are at the inverse of
    R of uniform order statistics (Lewis and Shedler, "Simulation of nonhomogeneous Poisson processes", 1979).

    Args:
        segments: One after the other.
        arrivals: Evenly spaced at the rate of the moment, or Poisson.
        seed: Of Poisson arrivals.
    """
    starts = np.concatenate([[0.0], np.cumsum([segment.seconds for segment in segments])])
    passed = np.concatenate([[0.0], np.cumsum([segment.requests for segment in segments])])
    count = round(float(passed[-1]))
    if arrivals == "constant":
        places = np.arange(count, dtype=np.float64)
    else:
        places = np.sort(np.random.default_rng(seed).uniform(0.0, passed[-1], count))
    which = np.clip(np.searchsorted(passed, places, side="right") - 1, 0, len(segments) - 1)
    rate = np.array([segment.start_rate for segment in segments])[which]
    slope = np.array([(part.end_rate - part.start_rate) / part.seconds for part in segments])[which]
    rest = places - passed[which]
    # rest = rate·t + slope·t²/2, solved for t in the form that holds for a slope of 0, too.
    divisor = rate + np.sqrt(np.maximum(rate * rate + 2 * slope * rest, 0.0))
    instants: NDArray[np.float64] = starts[which] + np.divide(
        2 * rest, divisor, out=np.zeros_like(rest), where=divisor > 0
    )
    return instants


def rate_over_time(segments: Sequence[Segment]) -> list[tuple[float, float]]:
    """Corners of the rate as (seconds, rate), for a picture."""
    corners, at = [], 0.0
    for segment in segments:
        corners += [(at, segment.start_rate), (at + segment.seconds, segment.end_rate)]
        at += segment.seconds
    return corners
