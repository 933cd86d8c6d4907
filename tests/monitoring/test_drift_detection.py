"""Clean windows pass and drifted ones do not: seeds by scenarios, and real postings."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
import pytest
from drift_streams import CHANGE, END, WEEK, breached, detector, moved, stream, window

from monitoring import evidence
from monitoring.detector import Detector, severity_of
from monitoring.policy import load_policy
from plumbline.data.known import known_at
from plumbline.data.scenarios import apply_scenario

SEEDS = (1, 2, 3, 4, 5)
SCENARIOS = {
    "vocabulary_shift": "unseen:description",
    "silent_null": "null_share:company",
    "salary_unit_error": "distribution:salary_month",
    "schema_change": "unseen:category",
    "label_shift": "distribution:label",
    "new_board": "unseen:board",
}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_clean_window_passes(seed: int) -> None:
    for start in (END, END + 2 * WEEK, END + 4 * WEEK):
        assert breached(detector(seed).judge(window(stream(seed), start), start, start + 2 * WEEK)) == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_drifted_window_does_not(seed: int, scenario: str) -> None:
    findings = detector(seed).judge(window(moved(seed, scenario), CHANGE), CHANGE, CHANGE + 2 * WEEK)
    assert SCENARIOS[scenario] in breached(findings)
    assert findings[0].breached
    assert severity_of(findings[0]) >= 0


@pytest.mark.parametrize("scenario", ["vocabulary_shift", "silent_null", "salary_unit_error", "schema_change"])
def test_the_change_point_is_found_inside_a_window(scenario: str) -> None:
    start, end = CHANGE - WEEK, CHANGE + WEEK
    frame = moved(1, scenario)
    findings = detector(1).judge(window(frame, start), start, end)
    recent = window(frame, END, weeks=3)
    test = next(test for test in detector(1).tests if test.name == findings[0].name)
    inside = (recent["event_timestamp"] >= pd.Timestamp(start)).to_numpy()
    scores = evidence.posting_scores(test, detector(1).rows(recent), inside, detector(1).reference_rows, 3.0)
    assert evidence.change_point(recent["event_timestamp"], scores) == CHANGE
    assert evidence.slices(recent[inside], scores[inside], "board")


def test_a_change_on_one_board_is_pinned_on_it() -> None:
    frame = window(stream(1), END)
    board = frame["board"].value_counts().index[0]
    frame["salary_min"] = frame["salary_min"].where(frame["board"] != board, frame["salary_min"] * 100)
    frame["salary_max"] = frame["salary_max"].where(frame["board"] != board, frame["salary_max"] * 100)
    findings = detector(1).judge(frame, END, END + 2 * WEEK)
    assert findings[0].name == "distribution:salary_month"
    test = next(test for test in detector(1).tests if test.name == findings[0].name)
    rows = detector(1).rows(frame)
    scores = evidence.posting_scores(test, rows, rows.weeks >= 0, detector(1).reference_rows, 3.0)
    assert evidence.slices(frame, scores, "board")[0].name == f"board={board}"
    assert evidence.slices(frame, scores, "board")[0].part > 0.8


def test_a_worse_model_is_noticed_on_labels_that_have_arrived() -> None:
    frame = window(stream(2), END, accuracy=0.6)
    assert "accuracy:label" in breached(detector(2).judge(frame, END, END + 2 * WEEK))


def test_another_mix_of_boards_alone_moves_nothing_else() -> None:
    """Boards come and go: what differs between boards must not look like drift of everything."""
    frame = window(stream(3), END, weeks=4)
    boards = frame["board"].value_counts().index
    kept = frame[(frame["board"] != boards[0]) | (frame.index % 3 == 0)].reset_index(drop=True)
    found = breached(detector(3).judge(kept, END, END + 4 * WEEK))
    assert set(found) <= {"distribution:board"}


def test_a_test_without_values_says_so_instead_of_passing() -> None:
    frame = window(stream(1), END).assign(label=None)
    findings = {finding.name: finding for finding in detector(1).judge(frame, END, END + 2 * WEEK)}
    skipped = findings["accuracy:label"]
    assert skipped.value is None
    assert not skipped.breached
    assert "window" in str(skipped.skipped)


def test_an_empty_column_in_the_reference_does_not_hurt() -> None:
    reference = known_at(stream(1), END).assign(seniority=None, salary_min=float("nan"), salary_max=float("nan"))
    bare = Detector(reference, load_policy("default"), anchor=END)
    frame = known_at(stream(1), END + 2 * WEEK)
    frame = frame[frame["event_timestamp"] >= pd.Timestamp(END)].reset_index(drop=True)
    found = breached(bare.judge(frame.assign(prediction=None, probability=float("nan")), END, END + 2 * WEEK))
    assert {"null_share:seniority", "null_share:salary_min"} <= set(found)


def test_real_postings_whose_boards_come_and_go(real_postings: pd.DataFrame) -> None:
    """15 weekly collections: every later two-week window is clean, injected drift is not."""
    first = real_postings["event_timestamp"].min().to_pydatetime()
    for reference_weeks in (8, 11):
        end = first + reference_weeks * WEEK
        reference = known_at(real_postings, end).assign(prediction=None, probability=float("nan"))
        real = Detector(reference, load_policy("default"), anchor=end)
        for weeks in range(reference_weeks, 14):
            start = first + weeks * WEEK
            assert breached(real.judge(_real_window(real_postings, start), start, start + 2 * WEEK)) == []
    for scenario in ("vocabulary_shift", "silent_null", "salary_unit_error"):
        drifted = pd.concat(list(apply_scenario([real_postings], scenario, end, seed=1)), ignore_index=True)
        assert breached(real.judge(_real_window(drifted, end), end, end + 2 * WEEK)), scenario


def _real_window(frame: pd.DataFrame, start: object) -> pd.DataFrame:
    stop = start + timedelta(days=14)  # type: ignore[operator]
    known = known_at(frame, stop)
    inside = known["event_timestamp"] >= pd.Timestamp(start)  # type: ignore[arg-type]
    return known[inside].reset_index(drop=True).assign(prediction=None, probability=float("nan"))
