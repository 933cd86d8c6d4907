"""Verdicts by labels and, where none came in time, by objectives alone."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
import pytest
from release_answers import STARTED, a_release, answers_and_labels

from serving.release.judge import decide
from serving.release.quality import compare

LATER = STARTED + timedelta(hours=1)


def _no_labels() -> pd.DataFrame:
    return pd.DataFrame({"posting_id": [], "label": [], "label_timestamp": []}, dtype=object)


def test_a_canary_that_labels_show_to_be_worse_is_rolled_back_before_any_minimum() -> None:
    answers, labels = answers_and_labels(champion_wrong=0.2, wrong=0.5, champions=2000, others=200)
    verdict = decide(a_release(min_requests=10_000), answers, labels, now=LATER)
    assert (verdict.decision, verdict.basis) == ("roll back", "labels")
    assert verdict.numbers["quality"]["finding"] == "worse"
    assert verdict.numbers["quality"]["test"] == "two-sample"
    assert "of 200 labelled answers" in verdict.why


def test_a_better_canary_is_promoted_by_labels() -> None:
    answers, labels = answers_and_labels(champion_wrong=0.4, wrong=0.1, champions=2000, others=600)
    verdict = decide(a_release(), answers, labels, now=LATER)
    assert (verdict.decision, verdict.basis) == ("promote", "labels")


def test_without_labels_objectives_decide_and_the_verdict_says_so() -> None:
    answers, _ = answers_and_labels(champion_wrong=0.2, wrong=0.2, champions=2000, others=600)
    verdict = decide(a_release(), answers, _no_labels(), now=LATER)
    assert (verdict.decision, verdict.basis) == ("promote", "objectives")
    assert "errors and latency alone" in verdict.why
    assert verdict.numbers["requests"] == 600


@pytest.mark.parametrize(
    ("others", "seconds", "said"),
    [(100, 3600, "100 of 500 answers"), (600, 60, "60 of 600 s"), (100, 60, "100 of 500 answers and 60 of 600 s")],
)
def test_before_the_minimum_nothing_is_promoted(others: int, seconds: int, said: str) -> None:
    answers, _ = answers_and_labels(champion_wrong=0.2, wrong=0.2, champions=1000, others=others)
    verdict = decide(a_release(), answers, _no_labels(), now=STARTED + timedelta(seconds=seconds))
    assert verdict.decision == "continue"
    assert said in verdict.why


def test_labels_may_be_waited_for() -> None:
    answers, labels = answers_and_labels(champion_wrong=0.2, wrong=0.2, champions=2000, others=600, labelled=0.2)
    release = a_release(label_wait_seconds=86_400)
    assert decide(release, answers, labels, now=LATER).decision == "continue"
    late = decide(release, answers, labels, now=STARTED + timedelta(days=2))
    assert (late.decision, late.basis) == ("promote", "objectives")


def test_a_shadow_is_compared_posting_by_posting_and_promoted_by_labels_only() -> None:
    release = a_release(canary=False, shadow=True)
    answers, labels = answers_and_labels(champion_wrong=0.3, wrong=0.1, champions=2000, others=1500, role="shadow")
    good = decide(release, answers, labels, now=LATER)
    assert (good.decision, good.basis, good.numbers["quality"]["test"]) == ("promote", "labels", "paired")
    bad_answers, bad_labels = answers_and_labels(
        champion_wrong=0.1, wrong=0.3, champions=2000, others=1500, role="shadow"
    )
    assert decide(release, bad_answers, bad_labels, now=LATER).decision == "roll back"
    unlabelled = decide(release, answers, _no_labels(), now=LATER)
    assert unlabelled.decision == "continue"
    assert "Give it a weight" in unlabelled.why


def test_few_labels_decide_nothing() -> None:
    answers, labels = answers_and_labels(champion_wrong=0.0, wrong=1.0, champions=500, others=60)
    assert compare(answers, labels, a_release(min_labels=61)).finding == "undecided"
    assert compare(answers, labels, a_release(min_labels=60)).finding == "worse"


def test_equal_versions_are_seldom_called_worse() -> None:
    called = 0
    for seed in range(40):
        answers, labels = answers_and_labels(champion_wrong=0.25, wrong=0.25, champions=900, others=300, seed=seed)
        called += compare(answers, labels, a_release(quality_tolerance=0.0)).finding == "worse"
    assert called <= 5


def test_a_posting_counts_once_however_often_it_was_sent_and_other_versions_do_not() -> None:
    answers, labels = answers_and_labels(champion_wrong=0.2, wrong=0.2, champions=300, others=150)
    again = answers.assign(request_id=answers["request_id"] + "/again", label="b")
    other = answers[answers["role"] == "canary"].assign(model_version="9", posting_id="p0")
    quality = compare(pd.concat([answers, again, other]), labels, a_release())
    assert (quality.labelled, quality.champion_labelled) == (150, 300)
    assert quality.wrong < 150
