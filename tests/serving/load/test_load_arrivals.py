"""Due times of rates that change, and the plans that they come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from plumbline.errors import MissingInputError, UserError
from serving.load.arrivals import Segment, due_times
from serving.load.plan import LoadPlan, Spikes, load_plan


def test_constant_arrivals_are_evenly_spaced() -> None:
    due = due_times([Segment(2, 100, 100)], "constant", 0)
    assert np.allclose(due, np.arange(200) * 0.01)


def test_a_ramp_is_due_where_its_integral_passes_whole_numbers() -> None:
    up = due_times([Segment(10, 0, 100)], "constant", 0)
    assert np.allclose(up, np.sqrt(np.arange(500) / 5))  # R(t) = 5 t²
    down = due_times([Segment(10, 100, 0)], "constant", 0)
    assert np.allclose(100 * down - 5 * down**2, np.arange(500))
    assert down.max() < 10


def test_segments_follow_each_other_and_a_pause_sends_nothing() -> None:
    due = due_times([Segment(1, 10, 10), Segment(5, 0, 0), Segment(1, 20, 20)], "constant", 0)
    assert np.allclose(due, [*np.arange(10) * 0.1, *(6 + np.arange(20) * 0.05)])


def test_poisson_arrivals_have_the_rate_of_the_moment_and_exponential_gaps() -> None:
    due = due_times([Segment(100, 100, 100), Segment(100, 100, 300)], "poisson", 1)
    assert len(due) == 30_000
    assert np.all(np.diff(due) >= 0)
    gaps = np.diff(due[due < 100])
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.05)
    # The second half of the ramp, from 200/s to 300/s, has 12,500 of the 30,000 on average.
    assert (due >= 150).sum() == pytest.approx(12_500, rel=0.03)
    assert np.array_equal(due, due_times([Segment(100, 100, 100), Segment(100, 100, 300)], "poisson", 1))


def test_spikes_come_after_calm_and_the_last_is_cut() -> None:
    spikes = Spikes(rate=10, factor=5, every=30, lasting=5, seconds=58)
    assert spikes.segments() == [
        Segment(25, 10, 10), Segment(5, 50, 50), Segment(25, 10, 10), Segment(3, 50, 50),
    ]  # fmt: skip


def test_a_plan_is_read_from_yaml(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(
        "warm_up_seconds: 1\narrivals: constant\nphases:\n"
        "  - {kind: ramp, start: 100, end: 300, seconds: 10}\n"
        "  - {kind: steps, rates: [50, 0, 70], each: 2}\n",
        encoding="utf-8",
    )
    plan = load_plan(tmp_path / "plan.yaml")
    assert plan.segments() == [Segment(10, 100, 300), Segment(2, 50, 50), Segment(2, 0, 0), Segment(2, 70, 70)]
    assert plan.warm_up() == [Segment(1, 100, 100)]
    assert plan.seconds == 16


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("phases: [{kind: ramp, start: 1, end: 2, second: 3}]", "Did you mean seconds"),
        ("phases: [{kind: romp, start: 1}]", "romp"),
        ("phasen: []", "Did you mean phases"),
        ("phases: []", "phases"),
        ("phases: [{kind: constant, rate: 0, seconds: 5}]", "make no request"),
        ("phases: [{kind: constant, rate: -1, seconds: 5}]", "greater than or equal to 0"),
        ("phases: [{kind: constant, rate: .nan, seconds: 5}]", "rate"),
        ("phases: [{kind: spikes, rate: 1, factor: 5, every: 3, lasting: 5, seconds: 9}]", "must last less"),
        ("phases: [{kind: spikes, rate: 1, factor: 5, every: 9, lasting: 2, seconds: 5}]", "before its first spike"),
        ("phases: [", "not YAML"),
        ("- 1", "not a mapping"),
    ],
)
def test_a_plan_that_cannot_be_used_says_why(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "plan.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=complaint):
        load_plan(tmp_path / "plan.yaml")


def test_a_plan_that_is_not_there() -> None:
    with pytest.raises(MissingInputError, match="no load plan"):
        load_plan(Path("nowhere.yaml"))


def test_the_schema_forbids_unknown_keys() -> None:
    assert LoadPlan.model_json_schema()["additionalProperties"] is False
