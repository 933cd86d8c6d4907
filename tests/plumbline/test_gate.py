"""The gate: one way in, every rule with its sentence, and error rates that are what they are said to be."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from plumbline.registry.bootstrap import accuracy_of, bounds, draw_counts, macro_f1_of
from plumbline.registry.gate import Candidate, GateVerdict, Rows, decide
from plumbline.registry.slices import p_worse, slice_changes
from plumbline.settings.pipelines import GateSettings

RULES = GateSettings()
PARITY = {"checked": 1_000, "share": 1.0, "measured_at": "2026-03-01T00:00:00Z", "key": "features/parity/s/f/r.json"}
HEALTHY = Candidate(
    calibration_error=0.03, processor_ms=1.0, champion_processor_ms=1.0, parity=PARITY, parity_objections=()
)
CLASSES = 5


def _answers(generator: np.random.Generator, truth: np.ndarray, accuracy: float) -> np.ndarray:
    wrong = (truth + generator.integers(1, CLASSES, len(truth))) % CLASSES
    return np.where(generator.random(len(truth)) < accuracy, truth, wrong)


def _rows(
    *, challenger: float, champion: float | None, n: int = 800, seed: int = 1, boards: np.ndarray | None = None
) -> Rows:
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, CLASSES, n)
    first = _answers(generator, truth, challenger)
    second = None if champion is None else _answers(generator, truth, champion)
    where = generator.integers(0, 4, n) if boards is None else boards
    return Rows(_text(truth), _text(first), None if second is None else _text(second), _text(where))


def _text(codes: np.ndarray) -> list[str]:
    return [f"c{code}" for code in codes]


def test_a_better_challenger_is_promoted_with_its_numbers() -> None:
    verdict = decide(_rows(challenger=0.85, champion=0.75), HEALTHY, RULES)
    assert verdict.verdict == "promote"
    assert "lower bound +" in verdict.reasons[0]
    assert "all 1,000 pairs compared at 2026-03-01T00:00:00Z" in verdict.reasons[1]
    assert verdict.numbers["parity"] == PARITY
    difference = verdict.numbers["difference"]["accuracy"]
    assert 0 < difference["lower"] < difference["estimate"] < difference["upper"]
    assert verdict.numbers["limits"] == RULES.model_dump()
    json.dumps(dataclasses.asdict(verdict), allow_nan=False)


@pytest.mark.parametrize(("challenger", "champion"), [(0.8, 0.8), (0.7, 0.8)])
def test_equal_or_worse_is_rejected_however_fresh(challenger: float, champion: float) -> None:
    verdict = decide(_rows(challenger=challenger, champion=champion, seed=3), HEALTHY, RULES)
    assert verdict.verdict == "reject"
    assert "must be above zero" in verdict.reasons[0]


def test_identical_answers_are_rejected() -> None:
    rows = _rows(challenger=0.8, champion=0.8)
    same = dataclasses.replace(rows, champion=rows.challenger)
    verdict = decide(same, HEALTHY, RULES)
    assert verdict.verdict == "reject"
    assert verdict.numbers["difference"]["accuracy"]["lower"] == 0


def test_the_first_model_must_beat_the_commonest_class() -> None:
    assert decide(_rows(challenger=0.8, champion=None), HEALTHY, RULES).verdict == "promote"
    guessing = _rows(challenger=0.8, champion=None)
    constant = dataclasses.replace(guessing, challenger=["c0"] * len(guessing.truth))
    verdict = decide(constant, HEALTHY, RULES)
    assert verdict.verdict == "reject"
    assert any("commonest class" in reason for reason in verdict.reasons)
    assert any("Macro-F1" in reason for reason in verdict.reasons)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"parity": None, "parity_objections": ("It was not measured.",)}, "not measured"),
        ({"parity_objections": ("They agree on 99.95%.",)}, "99.95%"),
        ({"calibration_error": 0.3}, "calibration error"),
        ({"calibration_error": float("nan")}, "calibration error"),
    ],
)
def test_health_rejects_even_a_better_model(change: dict[str, Any], said: str) -> None:
    candidate = dataclasses.replace(HEALTHY, **change)
    verdict = decide(_rows(challenger=0.9, champion=0.7), candidate, RULES)
    assert verdict.verdict == "reject"
    assert len(verdict.reasons) == 1
    assert said in verdict.reasons[0]


@pytest.mark.parametrize("champion", [None, 0.7])
def test_a_model_that_is_only_slow_is_left_to_a_person(champion: float | None) -> None:
    cost = None if champion is None else 30.0
    candidate = dataclasses.replace(HEALTHY, processor_ms=80.0, champion_processor_ms=cost)
    verdict = decide(_rows(challenger=0.9, champion=champion), candidate, RULES)
    assert verdict.verdict == "review"
    assert "lower bound" in verdict.reasons[0]
    assert "80.0 ms" in verdict.reasons[-2]
    assert "plumbline models promote" in verdict.reasons[-1]
    assert verdict.numbers["champion_processor_ms"] == cost


def test_beside_a_champion_that_cannot_be_compared_with_a_person_decides() -> None:
    candidate = dataclasses.replace(HEALTHY, no_comparison="The champion's files are gone.")
    verdict = decide(_rows(challenger=0.9, champion=None), candidate, RULES)
    assert verdict.verdict == "review"
    assert verdict.reasons[-2] == "The champion's files are gone."
    assert "plumbline models promote" in verdict.reasons[-1]
    assert decide(_rows(challenger=0.2, champion=None), candidate, RULES).verdict == "reject"


def test_a_slow_model_that_is_worse_is_rejected_for_both() -> None:
    candidate = dataclasses.replace(HEALTHY, processor_ms=80.0)
    verdict = decide(_rows(challenger=0.7, champion=0.8), candidate, RULES)
    assert verdict.verdict == "reject"
    assert "must be above zero" in verdict.reasons[0]
    assert "80.0 ms" in verdict.reasons[-1]


@pytest.mark.parametrize(("cost", "said"), [(32.9, "promote"), (33.1, "review")])
def test_above_the_limit_the_champion_is_the_measure(cost: float, said: str) -> None:
    candidate = dataclasses.replace(HEALTHY, processor_ms=cost, champion_processor_ms=30.0)
    assert decide(_rows(challenger=0.9, champion=0.7), candidate, RULES).verdict == said


@pytest.mark.parametrize("n", [0, 40])
@pytest.mark.parametrize("champion", [None, 0.5])
def test_too_few_rows_decide_nothing(n: int, champion: float | None) -> None:
    verdict = decide(_rows(challenger=0.9, champion=champion, n=n), HEALTHY, RULES)
    assert verdict.verdict == "reject"
    assert f"Only {n} labelled rows" in verdict.reasons[0]


def test_one_board_that_collapses_rejects_a_model_that_is_better_elsewhere() -> None:
    boards = np.repeat([0, 1], [700, 100])
    rows = _rows(challenger=0.95, champion=0.75, boards=boards)
    broken = [
        "c0" if board == "c1" and truth != "c0" else answer
        for board, truth, answer in zip(rows.boards, rows.truth, rows.challenger, strict=True)
    ]
    verdict = decide(dataclasses.replace(rows, challenger=broken), HEALTHY, RULES)
    assert verdict.verdict == "reject"
    assert [reason for reason in verdict.reasons if "board c1 (100 rows)" in reason]


def test_a_champion_that_answers_one_class_to_all_it_does_not_know_is_not_protected_by_that_class() -> None:
    rows = _rows(challenger=0.85, champion=0.95)
    lazy = [answer if place % 2 else "c0" for place, answer in enumerate(rows.champion or [])]
    verdict = decide(dataclasses.replace(rows, champion=lazy), HEALTHY, RULES)
    assert verdict.verdict == "promote", verdict.reasons


def test_a_class_that_collapses_rejects_a_model_that_is_better_elsewhere() -> None:
    rows = _rows(challenger=0.98, champion=0.6)
    broken = ["c1" if truth == "c0" else answer for truth, answer in zip(rows.truth, rows.challenger, strict=True)]
    verdict = decide(dataclasses.replace(rows, challenger=broken), HEALTHY, RULES)
    assert verdict.verdict == "reject"
    assert [reason for reason in verdict.reasons if reason.startswith("On class c0") and "F1 falls" in reason]


def test_a_small_slice_does_not_reject_by_chance() -> None:
    changes = slice_changes(
        {"board": ["a"] * 40},
        challenger_right=np.arange(40) < 28,
        champion_right=np.arange(40) < 31,
        min_rows=30,
    )
    assert changes[0].difference == pytest.approx(-0.075)
    assert changes[0].p_worse == pytest.approx(1 / 8)


def test_mcnemar_is_the_exact_binomial_tail() -> None:
    assert p_worse(lost=0, won=0) == 1
    assert p_worse(lost=5, won=0) == pytest.approx(1 / 32)
    assert p_worse(lost=1, won=1) == pytest.approx(3 / 4)


def test_models_with_different_classes_are_comparable() -> None:
    rows = _rows(challenger=0.9, champion=0.6)
    known = dataclasses.replace(rows, champion=[answer if answer != "c4" else "c0" for answer in rows.champion or []])
    assert decide(known, HEALTHY, RULES).verdict == "promote"


def test_resampled_figures_are_those_of_the_drawn_rows() -> None:
    generator = np.random.default_rng(5)
    truth, predicted = generator.integers(0, 3, 50), generator.integers(0, 3, 50)
    counts = draw_counts(50, resamples=200, seed=1)
    assert (counts.sum(axis=1) == 50).all()
    drawn = np.repeat(np.arange(50), counts[0].astype(int))
    assert accuracy_of(truth, predicted, counts)[0] == pytest.approx((truth[drawn] == predicted[drawn]).mean())
    f1 = []
    for label in np.unique(truth[drawn]):
        hits = ((truth[drawn] == label) & (predicted[drawn] == label)).sum()
        f1.append(2 * hits / ((truth[drawn] == label).sum() + (predicted[drawn] == label).sum()))
    assert macro_f1_of(truth, predicted, counts, 3)[0] == pytest.approx(np.mean(f1))


def test_the_same_seed_gives_the_same_verdict() -> None:
    rows = _rows(challenger=0.8, champion=0.78)
    assert decide(rows, HEALTHY, RULES) == decide(rows, HEALTHY, RULES)


def test_equal_models_pass_as_rarely_as_the_confidence_says() -> None:
    """Of 300 pairs of equally good models, about 5% may pass; 9% is 3 standard errors above."""
    generator = np.random.default_rng(11)
    passed = 0
    for _ in range(300):
        truth = generator.integers(0, CLASSES, 300)
        first, second = _answers(generator, truth, 0.8), _answers(generator, truth, 0.8)
        counts = draw_counts(300, resamples=400, seed=int(generator.integers(1 << 31)))
        estimate = float((first == truth).mean() - (second == truth).mean())
        gain = bounds(estimate, accuracy_of(truth, first, counts) - accuracy_of(truth, second, counts), 0.95)
        passed += gain.lower > 0
    assert 0.015 < passed / 300 < 0.09


def test_a_verdict_has_a_sentence_per_broken_rule() -> None:
    candidate = Candidate(
        calibration_error=0.5, processor_ms=99.0, champion_processor_ms=None, parity=None, parity_objections=("None.",)
    )
    verdict: GateVerdict = decide(_rows(challenger=0.5, champion=0.9), candidate, RULES)
    assert verdict.verdict == "reject"
    assert len(verdict.reasons) >= 4
    assert "99.0 ms" in verdict.reasons[-1]
    assert all(reason.endswith((".", ").")) for reason in verdict.reasons)
