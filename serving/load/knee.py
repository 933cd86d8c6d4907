"""The highest rate that an endpoint takes inside its budget: brackets it, halves the bracket, tries the end again."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from plumbline.errors import UserError

_Z_95 = 1.959964
_LATE_SHARE = 0.01
"""p99 is inside the budget when at most this share of the requests is not answered in it."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a settled stretch at one rate showed.

    Attributes:
        rate: Requests per second that were sent.
        sent: Measured requests.
        late: Of them, those not answered inside the budget, errors included.
        p99_ms: None where nothing was answered.
        errors: Share of the requests.
        goodput: Answers inside the budget, per second.
        generator_ok: Whether the generator itself kept up.
    """

    rate: float
    sent: int
    late: int
    p99_ms: float | None
    errors: float
    goodput: float
    generator_ok: bool


@dataclass(frozen=True)
class Search:
    """What is looked for, and how closely.

    Attributes:
        low: First rate, per second.
        high: Highest rate that is tried.
        precision: The bracket is halved until it is this share of the rate wide.
        repeats: How often the rate found is measured in all; the majority must hold.
        budget_ms: For p99.
        most_errors: Share of the requests that may fail.
    """

    low: float
    high: float
    precision: float
    repeats: int
    budget_ms: float
    most_errors: float

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high:
            raise UserError(f"Give rates above 0, the lower one first: not {self.low:g} and {self.high:g}.")
        if not 0.001 <= self.precision <= 0.5 or self.repeats < 1:
            raise UserError("Give a precision from 0.001 to 0.5 and at least one repeat.")

    def holds(self, step: Step) -> bool:
        """Whether p99 stayed inside the budget, and errors below their share."""
        return step.p99_ms is not None and step.p99_ms <= self.budget_ms and step.errors <= self.most_errors


def find_knee(measure: Callable[[float], Step], search: Search, *, seconds: float | None = None) -> dict[str, Any]:
    """Finds the highest rate that holds.

    The rate doubles until it does not hold, then the bracket is halved (geometrically). Near the knee a rate holds in
    one step and not in the next, so the highest that held is measured again until a majority of `repeats` agrees;
    where they disagree, it does not hold, and the search goes on below.

    Args:
        measure: Puts a rate on the endpoint until it has settled, and measures.
        search: What to look for.
        seconds: That one step measures; for the result only.

    Returns:
        `knee_rps` (None if not even the lowest rate holds), `fails_at_rps`, `limited_by` (`endpoint`, `generator` if
        that could not send more, `high` if the highest rate still holds), `confidence`, `curve`: a row per step.
    """
    steps: list[Step] = []

    def holds(rate: float) -> bool:
        steps.append(measure(rate))
        return search.holds(steps[-1])

    held: list[float] = []
    bad: float | None = None
    while True:
        good = held[-1] if held else None
        if good is None and bad is not None:
            break
        if good is not None and (good >= search.high or (bad is not None and bad / good <= 1 + search.precision)):
            if _majority_holds(holds, good, search):
                break
            bad = held.pop()
            continue
        rate = _next_rate(good, bad, search)
        if holds(rate):
            held.append(rate)
        else:
            bad = rate
    knee = held[-1] if held else None
    return {
        "knee_rps": None if knee is None else round(knee, 2),
        "fails_at_rps": None if bad is None else round(bad, 2),
        "limited_by": _limited_by(steps, bad, search),
        "budget_ms": search.budget_ms,
        "most_errors": search.most_errors,
        "confidence": _confidence([step for step in steps if step.rate == knee], search),
        "seconds_per_step": seconds,
        "curve": [{**asdict(step), "holds": search.holds(step)} for step in sorted(steps, key=lambda one: one.rate)],
    }


def _next_rate(good: float | None, bad: float | None, search: Search) -> float:
    if good is None:
        return search.low
    return min(search.high, 2 * good) if bad is None else math.sqrt(good * bad)


def _majority_holds(holds: Callable[[float], bool], rate: float, search: Search) -> bool:
    """Measures a rate that held once again and again, until the majority is known."""
    yes, no = 1, 0
    while 2 * yes <= search.repeats and 2 * no < search.repeats:
        if holds(rate):
            yes += 1
        else:
            no += 1
    return 2 * yes > search.repeats


def _limited_by(steps: list[Step], bad: float | None, search: Search) -> str:
    if bad is None:
        return "high"
    # A late generator only makes figures worse: a rate that holds nevertheless does hold.
    failed = [step for step in steps if step.rate == bad and not search.holds(step)]
    return "endpoint" if any(step.generator_ok for step in failed) else "generator"


def wilson(count: int, of: int) -> tuple[float, float]:
    """95% interval of a share (Wilson 1927), which holds for shares near 0, too."""
    if of == 0:
        return 0.0, 1.0
    share, z2 = count / of, _Z_95**2
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    half = _Z_95 / (1 + z2 / of) * math.sqrt(share * (1 - share) / of + z2 / (4 * of * of))
    return max(0.0, middle - half), min(1.0, middle + half)


def _confidence(steps: list[Step], search: Search) -> dict[str, Any]:
    """How sure the knee is: steps that agree, and the share of late requests in all of them with its interval.

    The interval takes requests as independent of each other; neighbours are not, so it is too narrow for short steps.
    """
    sent, late = sum(step.sent for step in steps), sum(step.late for step in steps)
    low, high = wilson(late, sent)
    held = sum(search.holds(step) for step in steps)
    return {
        "steps": len(steps),
        "held": held,
        "late_share": round(late / sent, 6) if sent else None,
        "late_share_interval": [round(low, 6), round(high, 6)],
        "clear": bool(steps) and held == len(steps) and high <= _LATE_SHARE,
    }
