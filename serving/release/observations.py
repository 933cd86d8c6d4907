"""What a replica has seen of champion and canary since it last looked: observations that count once each.

Requests that are answered in one batch fail together. So an observation is not a request but a slice of time: the
share of a variant's requests in it that failed. Within a slice anything may depend on anything; what stalls the whole
replica for longer than a slice fails champion and canary alike, which the test does not mind.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

SLICE_SECONDS = 0.02
"""About the length of a batch."""

_REMEMBERED = 4096
"""Queries that fell back on the champion and have not been answered by it yet; more than can be under way."""


@dataclass(slots=True)
class Slice:
    """Outcomes of one variant in one slice of time."""

    number: int
    requests: int = 0
    errors: int = 0
    late: int = 0
    slow: int = 0


@dataclass(slots=True)
class Side:
    """One variant's slices since the last look, and its totals."""

    slices: list[Slice] = field(default_factory=list)
    requests: int = 0
    errors: int = 0
    late: int = 0
    slow: int = 0

    def slice(self, number: int) -> Slice:
        """The slice of this number; a new one where the last has another."""
        if not self.slices or self.slices[-1].number != number:
            self.slices.append(Slice(number))
        return self.slices[-1]

    def shares(self, what: str) -> list[float]:
        """Failures per request of each slice; `what` is `errors`, `late` or `slow`."""
        return [getattr(each, what) / each.requests for each in self.slices]


class Observations:
    """Sorts outcomes into slices. Called on the event loop: a microsecond each."""

    def __init__(self) -> None:
        self.champion = Side()
        self.canary = Side()
        self.errors_in_a_row = 0
        self._fell_back: OrderedDict[str, Slice] = OrderedDict()

    def add_canary(self, now: float, request_id: str, *, error: bool, late: bool, slow: bool) -> None:
        """Takes in an outcome of the canary."""
        here = self._count(self.canary, now, error=error, late=late, slow=slow)
        if not error:
            self.errors_in_a_row = 0
            return
        self.errors_in_a_row += 1
        self._fell_back[request_id] = here
        if len(self._fell_back) > _REMEMBERED:
            self._fell_back.popitem(last=False)

    def add_champion(self, now: float, request_id: str, *, error: bool, late: bool, slow: bool) -> None:
        """Takes in an outcome of the champion.

        Where the query was the canary's first, its time is no fair measure of the champion, and is left out. If the
        champion cannot answer it either, the query is to blame, and the canary's error is taken back.
        """
        here = self._fell_back.pop(request_id, None) if self._fell_back else None
        if here is None:
            self._count(self.champion, now, error=error, late=late, slow=slow)
            if error:
                self.errors_in_a_row = 0
        elif error:
            here.errors -= 1
            self.canary.errors -= 1
            self.errors_in_a_row = max(0, self.errors_in_a_row - 1)

    def forget_slices(self) -> None:
        """Begins a new block; the totals stay."""
        self.champion.slices, self.canary.slices = [], []

    @staticmethod
    def _count(side: Side, now: float, *, error: bool, late: bool, slow: bool) -> Slice:
        here = side.slice(int(now / SLICE_SECONDS))
        here.requests += 1
        here.errors += error
        here.late += late
        here.slow += slow
        side.requests += 1
        side.errors += error
        side.late += late
        side.slow += slow
        return here
