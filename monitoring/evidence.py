"""Why a test was breached: since when, and on which slices. Both come from one score per posting."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
from scipy import sparse

from monitoring.calibration import Rows, equal_mix_weights
from monitoring.encoding import Comparison

_SMALLEST_PART = 0.05
_MOST_SLICES = 5


@dataclass(frozen=True)
class Slice:
    """A part of the window that carries the change.

    Attributes:
        name: Column and value, as in `board=jobs.example`.
        rows: Postings of the window in it.
        part: Share of the whole change that they carry, 0..1.
    """

    name: str
    rows: int
    part: float


def posting_scores(test: Comparison, recent: Rows, window: np.ndarray, reference: Rows, most: float) -> np.ndarray:
    """How much more likely each posting is in the window than in the reference, in the respect that was tested.

    Args:
        test: The breached test.
        recent: Postings since the reference ended.
        window: Which of them are in the window, boolean, shape (rows,).
        reference: The reference.
        most: The policy's `max_stratum_weight`.

    Returns:
        Log-likelihood ratios, shape (rows,).
    """
    now = _bins(test, recent)
    before = _bins(test, reference)
    window_rows = recent.take(np.flatnonzero(window))
    window_weights, reference_weights = equal_mix_weights(window_rows, reference, most)
    if not test.at_equal_mix:
        window_weights, reference_weights = np.ones_like(window_weights), np.ones_like(reference_weights)
    p = _distribution(now[window], window_weights)
    q = _distribution(before, reference_weights)
    per_row = np.asarray(now @ np.log(p / q)).ravel()
    if test.at_equal_mix:
        per_row = np.where(recent.strata >= 0, per_row, 0.0)
    return per_row


def change_point(times: pd.Series, scores: np.ndarray) -> datetime:
    """Day on which the change set in: the largest fall of the cumulated scores before the end (CUSUM, Page 1954).

    Args:
        times: Instants of the postings, UTC.
        scores: From `posting_scores`.

    Returns:
        Start of the first day of the change, UTC.
    """
    days = times.dt.tz_convert("UTC").dt.tz_localize(None).dt.floor("D").to_numpy()
    daily = pd.Series(scores).groupby(days).sum().sort_index()
    # A change that lasts to the end starts where the sum of what follows is largest.
    following = daily[::-1].cumsum()[::-1]
    first = pd.DatetimeIndex(following.index)[int(following.to_numpy().argmax())]
    return first.tz_localize("UTC").to_pydatetime()


def slices(frame: pd.DataFrame, scores: np.ndarray, column: str | None) -> list[Slice]:
    """Values of a column whose postings carry most of the change, the largest first."""
    if column is None or column not in frame:
        return []
    named = frame[column].astype("string").fillna("(none)")
    grouped = pd.DataFrame({"value": named.to_numpy(), "score": scores}).groupby("value")["score"].agg(["sum", "size"])
    positive = grouped[grouped["sum"] > 0].sort_values("sum", ascending=False).head(_MOST_SLICES)
    whole = float(grouped["sum"].clip(lower=0).sum())
    return [
        Slice(f"{column}={value}", int(size), float(score) / whole)
        for value, score, size in zip(positive.index, positive["sum"], positive["size"], strict=True)
        if score / whole >= _SMALLEST_PART
    ]


def _bins(test: Comparison, rows: Rows) -> sparse.csr_matrix:
    """What each posting has in each bin of the test."""
    if test.kind == "unseen":
        items = rows.encoded.items[test.name]
        unseen = np.asarray(items[:, [-1]].todense()).ravel()
        total = np.asarray(items.sum(axis=1)).ravel()
        return sparse.csr_matrix(np.column_stack([unseen, total - unseen]))
    columns = rows.encoded.mass[:, test.start : test.stop]
    if test.kind in ("distribution", "text"):
        return columns
    # A mean's columns are value and weight: the share of the value, and of its opposite.
    both = np.asarray(columns.todense())
    return sparse.csr_matrix(np.column_stack([both[:, 0], both[:, 1] - both[:, 0]]))


def _distribution(bins: sparse.csr_matrix, weights: np.ndarray) -> np.ndarray:
    mass = np.asarray(bins.T @ weights).ravel() + 0.5  # half a count: an empty bin must not decide alone
    return np.asarray(mass / mass.sum())
