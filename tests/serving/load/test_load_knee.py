"""The search for the knee, on endpoints whose capacity is known: no clock, a queue that is computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from plumbline.errors import UserError
from serving.load.arrivals import Segment, due_times
from serving.load.knee import Search, Step, find_knee, wilson

BUDGET_MS = 50.0


def search(**changes: Any) -> Search:
    options: dict[str, Any] = {
        "low": 50, "high": 5000, "precision": 0.05, "repeats": 3, "budget_ms": BUDGET_MS, "most_errors": 0.001,
    }  # fmt: skip
    return Search(**{**options, **changes})


def one_server(capacity: float, *, seconds: float = 20) -> Callable[[float], Step]:
    """A queue with one server that takes 1/capacity for each: waiting times by Lindley's recursion."""

    def measure(rate: float) -> Step:
        due = due_times([Segment(seconds, rate, rate)], "poisson", 5)
        free, latency = 0.0, np.empty(len(due))
        for number, at in enumerate(due.tolist()):
            free = max(free, at) + 1 / capacity
            latency[number] = free - at
        late = int((latency * 1000 > BUDGET_MS).sum())
        p99 = float(np.percentile(latency, 99)) * 1000
        return Step(rate, len(due), late, p99, 0.0, (len(due) - late) / seconds, generator_ok=True)

    return measure


def at_most(capacity: float, **changes: Any) -> Callable[[float], Step]:
    def measure(rate: float) -> Step:
        good = rate <= capacity
        step = {"rate": rate, "sent": 1000, "late": 0 if good else 500, "p99_ms": 20.0 if good else 300.0,
                "errors": 0.0, "goodput": rate, "generator_ok": True}  # fmt: skip
        return Step(**{**step, **changes})

    return measure


@pytest.mark.parametrize("capacity", [200.0, 700.0])
def test_the_knee_of_a_queue_is_just_below_its_capacity(capacity: float) -> None:
    found = find_knee(one_server(capacity), search())
    assert 0.65 * capacity < found["knee_rps"] < capacity
    assert found["knee_rps"] < found["fails_at_rps"] <= 1.051 * found["knee_rps"]
    assert found["limited_by"] == "endpoint"
    assert found["confidence"]["held"] == found["confidence"]["steps"] == 2
    rates = [step["rate"] for step in found["curve"]]
    assert rates == sorted(rates)
    goodput = max(step["goodput"] for step in found["curve"])
    assert goodput == pytest.approx(found["knee_rps"], rel=0.15)


@pytest.mark.parametrize("capacity", [50, 51, 130, 777, 1000, 4990])
def test_the_bracket_is_as_narrow_as_asked(capacity: float) -> None:
    found = find_knee(at_most(capacity), search(precision=0.02))
    assert found["knee_rps"] <= capacity <= found["fails_at_rps"] <= 1.0201 * found["knee_rps"]


def test_a_rate_that_held_by_chance_is_not_the_knee() -> None:
    lucky = {400.0: 1}

    def measure(rate: float) -> Step:
        if rate > 300 and lucky.get(rate, 0):
            lucky[rate] -= 1
            return at_most(1e9)(rate)
        return at_most(300)(rate)

    found = find_knee(measure, search())
    assert 285 < found["knee_rps"] <= 300
    assert found["fails_at_rps"] <= 400


def test_the_lowest_rate_may_be_too_high_and_the_highest_may_hold() -> None:
    nothing = find_knee(at_most(10), search())
    assert (nothing["knee_rps"], nothing["fails_at_rps"], nothing["confidence"]["clear"]) == (None, 50, False)
    everything = find_knee(at_most(1e9), search())
    assert (everything["knee_rps"], everything["fails_at_rps"], everything["limited_by"]) == (5000, None, "high")


def test_a_generator_that_cannot_send_more_is_named() -> None:
    assert find_knee(at_most(500, generator_ok=False), search())["limited_by"] == "generator"


def test_errors_above_their_share_do_not_hold() -> None:
    def sheds(rate: float) -> Step:
        return Step(rate, 1000, 0, 20.0, max(0.0, 1 - 400 / rate), min(rate, 400), generator_ok=True)

    assert 380 < find_knee(sheds, search())["knee_rps"] <= 401
    assert 760 < find_knee(sheds, search(most_errors=0.5))["knee_rps"] <= 800


def test_nothing_answered_does_not_hold() -> None:
    assert find_knee(at_most(1e9, p99_ms=None), search())["knee_rps"] is None


def test_numbers_that_make_no_sense_are_refused() -> None:
    for changes in ({"low": 0}, {"low": 10, "high": 5}, {"precision": 0}, {"repeats": 0}):
        with pytest.raises(UserError):
            search(**changes)


def test_the_interval_of_a_share() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    low, high = wilson(10, 1000)
    assert (low, high) == pytest.approx((0.00544, 0.01831), abs=1e-5)
    assert wilson(0, 1000)[0] == pytest.approx(0)
