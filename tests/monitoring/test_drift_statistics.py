"""The statistics are what they are called, and their thresholds keep what the policy states."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from drift_streams import END, WEEK, breached, detector, stream, window
from scipy.spatial import distance

from monitoring.calibration import Size, calibrate, from_json, to_json
from monitoring.columns import derive_columns
from monitoring.detector import Detector
from monitoring.evidently_adapter import ReportColumns, compare
from monitoring.statistics import jensen_shannon, stratum_factors, unseen_share
from monitoring.weekly import figures_of


def test_the_distance_is_scipys() -> None:
    random = np.random.default_rng(0)
    first, second = random.poisson(3, (20, 8)).astype(float), random.poisson(3, (20, 8)).astype(float)
    expected = [distance.jensenshannon(p, q) for p, q in zip(first, second, strict=True)]
    assert jensen_shannon(first, second) == pytest.approx(expected)
    assert jensen_shannon(np.array([[1.0, 0.0]]), np.array([[0.0, 5.0]]))[0] == pytest.approx(np.sqrt(np.log(2)))
    assert np.isnan(jensen_shannon(np.zeros((1, 2)), np.ones((1, 2)))[0])


def test_evidently_measures_the_same() -> None:
    """Both speak of one formula: without strata, the tests' value is Evidently's."""
    plain = detector(1).policy.model_copy(update={"stratify_by": None})
    reference = detector(1).reference
    own = Detector(reference, plain, anchor=END)
    current = window(stream(1), END)
    ours = {finding.name: finding.value for finding in own.judge(current, END, END + 2 * WEEK)}
    columns = ReportColumns(categorical=("board", "category", "employment_type"), numeric=(), nulls=("company",))
    theirs = compare(current, reference, columns, thresholds={}).scores
    for column in ("board", "category", "employment_type"):
        assert theirs[column]["method"] == "jensenshannon"
        assert ours[f"distribution:{column}"] == pytest.approx(theirs[column]["score"], abs=1e-3)


def test_equal_mix_gives_both_sides_the_same_strata_and_caps_the_rare() -> None:
    window_shares = np.array([[0.5, 0.3, 0.2, 0.0]])
    reference_shares = np.array([[0.2, 0.3, 0.0, 0.5]])
    in_window, in_reference = stratum_factors(window_shares, reference_shares, 2.0)
    assert window_shares * in_window == pytest.approx(reference_shares * in_reference)
    assert (window_shares * in_window)[0] == pytest.approx([0.4, 0.3, 0.0, 0.0])


def test_unseen_share_counts_values() -> None:
    share = unseen_share(np.array([1.0, 0.0]), np.array([2.0, 2.0]), np.array([[1.0, 1.0], [3.0, 1.0]]), min_values=1)
    assert share == pytest.approx([1 / 4, 3 / 8])
    assert np.isnan(unseen_share(np.zeros(2), np.ones(2), np.ones((1, 2)), min_values=10)[0])


def test_thresholds_are_seeded_and_survive_the_cache() -> None:
    one = detector(1)
    first = calibrate(one.reference_rows, one.tests, one.policy, Size(400, 200, 2), seed=5)
    second = calibrate(one.reference_rows, one.tests, one.policy, Size(400, 200, 2), seed=5)
    assert first == second
    assert from_json(to_json(first)) == first
    assert {test.name for test in detector(1).tests} == set(first)


def test_small_windows_have_wider_limits() -> None:
    def limits(rows: int) -> dict[str, float]:
        one = detector(1)
        nulls = calibrate(one.reference_rows, one.tests, one.policy, Size(rows, rows, 2), seed=1)
        return {name: null.threshold for name, null in nulls.items()}

    small, large = limits(120), limits(1_000)
    assert np.mean([small[name] > large[name] for name in small]) > 0.8


def test_the_family_of_tests_keeps_the_stated_rate() -> None:
    """Windows drawn at random from the stream itself, in disjoint halves: far below one alert in ten."""
    frame = window(stream(4), END, weeks=8)
    random = np.random.default_rng(0)
    alarms = 0
    for _ in range(40):
        drawn = frame.iloc[random.choice(len(frame), 800, replace=False)].reset_index(drop=True)
        alarms += bool(breached(detector(4).judge(drawn, END, END + 2 * WEEK)))
    assert alarms <= 2


def test_salaries_are_put_on_one_footing() -> None:
    frame = pd.DataFrame(
        {
            "salary_min": [5_000.0, 60_000.0, 30.0, None, 0.0, 100.0],
            "salary_max": [None, 60_000.0, 30.0, None, 0.0, 300.0],
            "period": ["month", "year", "hour", None, "month", None],
            "title": ["a"] * 6,
            "description": ["b"] * 6,
        }
    )
    derived = derive_columns(frame)
    assert list(10 ** derived["salary_month"].iloc[:3]) == pytest.approx([5_000, 5_000, 5_040])
    assert derived["salary_month"].iloc[3:].isna().all()
    assert derived["salary_span"].iloc[5] == pytest.approx(3.0)
    assert "salary_month" not in frame


def test_weekly_figures_are_sklearns() -> None:
    from sklearn.metrics import accuracy_score, f1_score

    random = np.random.default_rng(3)
    truth = random.choice(["1", "2", "3"], 300, p=[0.6, 0.3, 0.1])
    answers = np.where(random.random(300) < 0.8, truth, random.choice(["1", "2", "4"], 300))
    figures = figures_of(truth, answers, np.arange(300) // 3)
    assert figures["accuracy"] == pytest.approx(accuracy_score(truth, answers))
    assert figures["macro_f1"] == pytest.approx(f1_score(truth, answers, average="macro", labels=["1", "2", "3"]))
    low, high = figures["accuracy_interval"]
    assert low < figures["accuracy"] < high
