"""Seeded draws. Python's Mersenne Twister gives the same numbers on every machine and version."""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Generic, TypeVar

T = TypeVar("T")


class Dice:
    """Draws from one seed; parts of a stream take seeds of their own, so that each can be drawn alone."""

    def __init__(self, *seed: int | str) -> None:
        self._random = random.Random(":".join(map(str, seed)))  # noqa: S311 - not for secrets

    def chance(self, share: float) -> bool:
        """True in `share` of the draws."""
        return self._random.random() < share

    def pick(self, choices: Sequence[T]) -> T:
        """One of the choices, each equally likely."""
        return choices[int(self._random.random() * len(choices))]

    def several(self, choices: Sequence[T], count: int) -> list[T]:
        """Distinct choices in drawn order, at most all of them."""
        return self._random.sample(choices, min(count, len(choices)))

    def integer(self, low: int, high: int) -> int:
        """An integer from `low` to `high`, both included."""
        return low + int(self._random.random() * (high - low + 1))

    def uniform(self, low: float, high: float) -> float:
        """A number between the two."""
        return low + (high - low) * self._random.random()

    def gamma(self, mean: float, shape: float) -> float:
        """Gamma distributed, with the given mean and shape."""
        return self._random.gammavariate(shape, mean / shape)

    def weighted(self, wheel: Wheel[T]) -> T:
        """One of the wheel's choices by its weights."""
        return wheel.choices[bisect(wheel.edges, self._random.random() * wheel.total, 0, len(wheel.choices) - 1)]


class Wheel(Generic[T]):
    """Choices with weights, ready to draw from."""

    def __init__(self, choices: Sequence[T], weights: Iterable[float]) -> None:
        self.choices = list(choices)
        self.edges = list(accumulate(weights))
        self.total = self.edges[-1]
