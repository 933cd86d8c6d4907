"""From options to a plan, and objectives: what is understood, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from plumbline.errors import UserError
from serving.load.options import ShapeOptions, plan_of
from serving.load.plan import Constant, Ramp, Spikes, Steps
from serving.load.slo import judge, parse_slo


@pytest.mark.parametrize(
    ("options", "phase"),
    [
        ({}, Constant(rate=100, seconds=20)),
        ({"rate": 463, "duration": 5}, Constant(rate=463, seconds=5)),
        ({"ramp": "100:1500", "over": 60}, Ramp(start=100, end=1500, seconds=60)),
        ({"steps": "100,300.5", "each": 10}, Steps(rates=(100, 300.5), each=10)),
        (
            {"spike": "5x", "every": 30, "lasting": 5, "rate": 50, "duration": 90},
            Spikes(rate=50, factor=5, every=30, lasting=5, seconds=90),
        ),
    ],
)
def test_options_describe_a_phase(options: dict[str, Any], phase: object) -> None:
    assert plan_of(ShapeOptions(**options, warm_up=0, seed=3)).phases == (phase,)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"ramp": "100-1500", "over": 60}, "--ramp 100:1500"),
        ({"ramp": "100:1500"}, "--over"),
        ({"ramp": "100:1500", "over": 60, "rate": 5}, "--rate cannot be given with --ramp"),
        ({"ramp": "1:2", "steps": "1,2"}, "not both"),
        ({"steps": "1;2", "each": 1}, "--steps 100,300,500"),
        ({"spike": "5", "every": 30, "lasting": 5}, "--spike 5x"),
        ({"spike": "5x", "every": 10}, "--for"),
        ({"every": 30}, "--every cannot be given without"),
        ({"plan": "x.yaml", "warm_up": 3}, "--warm-up cannot be given with --plan"),
        ({"rate": 0}, "make no request"),
        ({"rate": -5}, "rate"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        plan_of(ShapeOptions(**options))


_RESULT = {
    "p99_ms": 49.0, "p50_ms": None, "sent": 1000, "errors": 1, "degraded": 20, "postings_answered": 1000,
    "within_budget": 0.995, "goodput_rps": 450.0, "rate": 460.0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("p99<50ms", True),
        ("p99<=0.049s", True),
        ("p99 < 49000us", False),
        ("p50<1s", False),
        ("errors<0.1%", False),
        ("errors<=0.1%", True),
        ("degraded<5%", True),
        ("within_budget>=99.5%", True),
        ("goodput>450", False),
        ("goodput>=450/s", True),
        ("rate>459.5", True),
    ],
)
def test_an_objective_is_held_against_a_result(text: str, met: bool) -> None:
    (row,) = judge(parse_slo(text), _RESULT)
    assert (row["objective"], row["met"]) == (text.strip(), met)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "not an objective"),
        ("p99<50ms,", "not an objective"),
        ("p99=50ms", "not an objective"),
        ("p99<50", "has the unit none: write us or ms or s"),
        ("p99<50m", "has the unit m"),
        ("errors<0.1", "write %"),
        ("goodput>450ms", "has the unit ms"),
        ("p98<50ms", "names no figure"),
        ("p99>50ms", "asks for a bad result"),
        ("goodput<450", "asks for a bad result"),
        ("p99<50ms,p99<60ms", "twice"),
        ("p99<-5ms", "not an objective"),
    ],
)
def test_an_objective_that_cannot_be_read_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        parse_slo(text)
