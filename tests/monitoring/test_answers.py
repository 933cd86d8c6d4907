"""How postings are chosen and shown that several versions answer."""

from __future__ import annotations

import numpy as np
import pandas as pd

from monitoring.answers import _right, _row, _start


def test_a_text_is_masked_before_it_is_cut_between_words() -> None:
    posting = pd.Series(
        {
            "posting_id": 7,
            "board": "b",
            "title": "Call 600 100 200",
            "description": "word " * 62 + "someone@company.example and more",
            "label": None,
        }
    )
    row = _row(posting, 0, {"1": (np.array(["2"]), np.array([0.91234567]))})
    assert row["title"] == "Call <phone>"
    assert row["description_start"].endswith("word <email> …")
    assert (row["posting_id"], row["label"]) == ("7", None)
    assert row["answers"] == [{"version": "1", "label": "2", "probability": 0.9123}]


def test_a_short_text_stands_whole_and_a_long_word_is_cut() -> None:
    assert _start("two\n words") == "two words"
    assert _start("x" * 400) == f"{'x' * 320} …"


def test_who_is_right_is_counted_where_they_disagree_and_the_label_is_known() -> None:
    truth = pd.Series(["1", "2", "3", None, "1"])
    labels = np.array([["1", "1", "1", "1", "1"], ["2", "2", "2", "2", "1"]])
    differ = np.array([True, True, True, True, False])
    assert _right(truth, labels, differ, ["4", "5"]) == {"4": 1, "5": 1, "none": 1}
