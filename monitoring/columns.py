"""Columns that monitors look at, derived from postings: monthly salaries, lengths, groups, weeks."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pandas as pd

WEEK = timedelta(days=7)

# Working time of a full position: 168 hours and 21 days a month, 52 weeks a year.
_MONTHS_PER_PERIOD = {"hour": 168.0, "day": 21.0, "week": 52.0 / 12.0, "month": 1.0, "year": 1.0 / 12.0}
_TEMPLATE_CHARACTERS = 120


def derive_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """Adds the derived columns to a copy of the frame.

    Args:
        frame: Postings (the posting contract's columns), any further columns are kept.

    Returns:
        The frame with `salary_month` (decimal logarithm of the monthly amount in the posting's own currency;
        null where no salary or no period is known), `salary_span` (upper end over lower end),
        `title_length` and `description_length` (decimal logarithm of one plus the characters).
    """
    derived = frame.copy()
    months = frame["period"].map(_MONTHS_PER_PERIOD).astype("float64")
    low = pd.to_numeric(frame["salary_min"]).astype("float64")
    high = pd.to_numeric(frame["salary_max"]).astype("float64")
    middle = low.add(high).div(2).fillna(low).fillna(high) * months
    positive = middle.where(middle > 0)
    derived["salary_month"] = np.log10(positive)
    derived["salary_span"] = (high / low.where(low > 0)).clip(upper=10.0)
    for text in ("title", "description"):
        derived[f"{text}_length"] = np.log10(1.0 + frame[text].fillna("").str.len().astype("float64"))
    return derived


def week_numbers(times: pd.Series, anchor: datetime) -> np.ndarray:
    """Whole weeks from `anchor` to each instant, negative before it; shape (rows,)."""
    seconds = (times - pd.Timestamp(anchor)).dt.total_seconds().to_numpy()
    return np.asarray(np.floor(seconds / WEEK.total_seconds()), dtype=np.int64)


def cluster_codes(frame: pd.DataFrame, weeks: np.ndarray) -> np.ndarray:
    """Groups of postings that are not independent of each other: one employer's (or, where no employer is
    named, one template's) postings of one week; shape (rows,), codes from 0.
    """
    template = frame["description"].fillna("").str.slice(0, _TEMPLATE_CHARACTERS)
    key = frame["company"].where(frame["company"].notna(), template).astype("string").fillna("")
    codes, _ = pd.factorize(key + "\x1f" + pd.Series(weeks, index=frame.index).astype("string"))
    return np.asarray(codes)
