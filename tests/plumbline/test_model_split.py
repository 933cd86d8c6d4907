"""Splits by time and near-duplicates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import model_postings as small
import numpy as np
import pandas as pd
import pytest

from plumbline.errors import UserError
from plumbline.model.duplicates import near_duplicate_groups
from plumbline.model.split import SEEN_BEFORE, split_postings

AS_OF = datetime(2026, 3, 30, tzinfo=UTC)
WORDS = [f"word{number}" for number in range(100)]


def _text(changes: int, seed: int = 0) -> str:
    words = list(WORDS)
    for place in np.random.default_rng(seed).choice(100, changes, replace=False):
        words[place] = f"other{seed}x{place}"
    return " ".join(words)


def test_near_duplicates_are_found_and_others_are_not() -> None:
    texts = [_text(0), _text(2, 1), _text(60, 2), "", "too short", "", _text(0).upper()]
    groups = near_duplicate_groups(texts, similarity=0.8, seed=1)
    assert groups[0] == groups[1] == groups[6]
    assert len({int(groups[row]) for row in (0, 2, 3, 4, 5)}) == 5


@pytest.mark.parametrize("count", [0, 1])
def test_few_texts(count: int) -> None:
    assert len(near_duplicate_groups(["a b c d"] * count, similarity=0.8, seed=1)) == count


def test_similarity_estimate_is_right_on_average() -> None:
    """Pairs well above the threshold are joined, pairs well below are not."""
    above = [near_duplicate_groups([_text(0), _text(1, seed)], similarity=0.8, seed=seed) for seed in range(40)]
    below = [near_duplicate_groups([_text(0), _text(12, seed)], similarity=0.8, seed=seed) for seed in range(40)]
    assert sum(int(first == second) for first, second in above) == 40
    assert sum(int(first == second) for first, second in below) <= 1


def test_parts_follow_each_other_and_nothing_is_lost() -> None:
    frame = small.stream(1200).sample(frac=1, random_state=0)
    parts = split_postings(frame, as_of=AS_OF, eval_days=14, seed=1, calibration_days=7)
    assert parts.train["event_timestamp"].max() < parts.calibration["event_timestamp"].min()
    assert parts.calibration["event_timestamp"].max() < parts.evaluation["event_timestamp"].min()
    span = parts.evaluation["event_timestamp"].max() - parts.evaluation["event_timestamp"].min()
    assert span < timedelta(days=14)
    removed = parts.report["near_duplicates"]
    kept = sum(parts.report["rows"].values())
    assert kept + removed["removed_from_train"] + removed["removed_from_calibration"] == len(frame)


def test_what_is_not_known_yet_stays_out() -> None:
    frame = small.stream(1200)
    as_of = small.START + timedelta(days=40)
    parts = split_postings(frame, as_of=as_of, eval_days=7, seed=1, calibration_days=7)
    for part in (parts.train, parts.calibration, parts.evaluation):
        assert (part["label_timestamp"] <= pd.Timestamp(as_of)).all()


def test_repeats_of_evaluation_rows_leave_training_and_are_marked() -> None:
    frame = small.stream(1200)
    frame.loc[[10, 11, 1190], "description"] = [_text(0), _text(1, 1), _text(2, 2)]
    parts = split_postings(frame, as_of=AS_OF, eval_days=7, seed=1, calibration_days=7)
    ids = set(parts.train["posting_id"])
    assert frame.loc[10, "posting_id"] not in ids
    assert frame.loc[11, "posting_id"] not in ids
    row = parts.evaluation.set_index("posting_id").loc[frame.loc[1190, "posting_id"]]
    assert bool(row[SEEN_BEFORE])
    assert parts.report["near_duplicates"]["removed_from_train"] == 2
    assert parts.report["near_duplicates"]["evaluation_seen_before"] == 1


def test_no_labels_and_no_training_rows_are_refused() -> None:
    frame = small.stream(200)
    with pytest.raises(UserError, match="No labelled posting"):
        split_postings(frame, as_of=small.START, eval_days=7, seed=1)
    with pytest.raises(UserError, match="train part has no rows"):
        split_postings(frame, as_of=AS_OF, eval_days=90, seed=1)
