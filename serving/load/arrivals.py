"""When requests are due."""

from __future__ import annotations

from typing import Literal

import numpy as np

Arrivals = Literal["poisson", "constant"]


def due_times(rate: float, seconds: float, arrivals: Arrivals, seed: int) -> np.ndarray:
    """Instants in [0, seconds), ascending, at `rate` per second.

    Poisson arrivals are conditioned on their number (rate × seconds, rounded), so that runs are comparable: given
    the number, arrival times of a Poisson process are uniform order statistics.
    """
    count = round(rate * seconds)
    if arrivals == "constant":
        return np.arange(count) / rate
    return np.sort(np.random.default_rng(seed).uniform(0.0, seconds, count))
