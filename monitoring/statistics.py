"""The statistics of all tests from weighted rows, for many weightings at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.special import rel_entr

from monitoring.encoding import Comparison


@dataclass(frozen=True)
class Sides:
    """Totals of the window and of what it is compared with, one row per weighting.

    Attributes:
        window: Shape (weightings, width).
        reference: Shape (weightings, width).
        window_equal_mix: The same after both sides were given one mix of strata.
        reference_equal_mix: See `window_equal_mix`.
    """

    window: np.ndarray
    reference: np.ndarray
    window_equal_mix: np.ndarray
    reference_equal_mix: np.ndarray


def totals(weights: np.ndarray, mass: sparse.csr_matrix) -> np.ndarray:
    """Column totals under each weighting; (weightings, rows) by (rows, width) gives (weightings, width)."""
    return np.asarray((mass.T @ weights.T).T, dtype=np.float64)


def stratum_factors(
    window_shares: np.ndarray, reference_shares: np.ndarray, most: float
) -> tuple[np.ndarray, np.ndarray]:
    """Factors that give both sides the same mix of strata (post-stratification, Holt and Smith 1979).

    The common mix is the window's, but a stratum counts at most `most` times its share of the reference: a
    stratum that the reference hardly has, or does not have, must not decide by itself.

    Args:
        window_shares: Shape (weightings, strata).
        reference_shares: Shape (weightings, strata).
        most: Cap.

    Returns:
        Factors for window rows and for reference rows, each (weightings, strata).
    """
    common = np.minimum(window_shares, most * reference_shares)
    with np.errstate(divide="ignore", invalid="ignore"):
        window = np.where(window_shares > 0, common / window_shares, 0.0)
        reference = np.where(reference_shares > 0, common / reference_shares, 0.0)
    return window, reference


def compare(test: Comparison, sides: Sides, *, min_values: float) -> np.ndarray:
    """The statistic of a test under each weighting, shape (weightings,).

    `distribution` and `text`: Jensen-Shannon distance with the natural logarithm (as scipy's and Evidently's).
    `null_share`: change in the share, without its sign. `unseen`: null, see `unseen_share`.
    `confidence` and `accuracy`: fall of the mean. NaN where either side has fewer than `min_values` values.
    """
    mixed = test.at_equal_mix
    part = slice(test.start, test.stop)
    window = (sides.window_equal_mix if mixed else sides.window)[:, part]
    reference = (sides.reference_equal_mix if mixed else sides.reference)[:, part]
    raw_window, raw_reference = sides.window[:, part], sides.reference[:, part]
    if test.kind in ("distribution", "text"):
        value = jensen_shannon(window, reference)
        enough = (raw_window.sum(axis=1) >= min_values) & (raw_reference.sum(axis=1) >= min_values)
    else:
        value = _mean(reference) - _mean(window)
        value = np.abs(value) if test.kind == "null_share" else value
        enough = (raw_window[:, 1] >= min_values) & (raw_reference[:, 1] >= min_values)
    return np.where(enough, value, np.nan)


def jensen_shannon(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Jensen-Shannon distance of rows of masses, natural logarithm: 0 (same) to 0.833 (nothing in common).

    Args:
        first: Non-negative masses, shape (n, width); they need not sum to one.
        second: As `first`.

    Returns:
        Shape (n,); NaN where a side has no mass.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        p = first / first.sum(axis=1, keepdims=True)
        q = second / second.sum(axis=1, keepdims=True)
        middle = (p + q) / 2
        divergence = (rel_entr(p, middle) + rel_entr(q, middle)).sum(axis=1) / 2
        return np.asarray(np.sqrt(np.maximum(divergence, 0.0)))


def unseen_share(unseen: np.ndarray, values: np.ndarray, weights: np.ndarray, *, min_values: float) -> np.ndarray:
    """Share of values that the reference never had, under each weighting.

    Args:
        unseen: Unseen values per row, shape (rows,) or, one per weighting, (weightings, rows).
        values: Values per row, shape (rows,).
        weights: Shape (weightings, rows).
        min_values: Fewer weighted values give NaN.
    """
    count = weights @ values
    found = (weights * unseen).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(count >= min_values, found / count, np.nan)


def _mean(sums: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(sums[:, 0] / sums[:, 1])
