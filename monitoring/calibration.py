"""What chance and ordinary weeks do to each statistic, learnt from the reference at the window's own size.

Windows are drawn from the reference: some of its weeks, and inside them whole clusters (an employer's postings
of one week) with Poisson weights. Each is compared with all the other weeks, as a later window is compared with
the whole reference. So what weeks do to each other, seasons inside the reference, and the dependence between
postings of one employer all count as ordinary. The largest standardised statistic of each drawn window gives one
threshold for a group of tests (the maxT procedure of Westfall and Young 1993); the groups share the stated rate of
false alarms by their number of tests.

Answers of the model exist only for the few last weeks that it was not fitted on: too few to learn what weeks do.
There, both sides are drawn from all weeks by clusters, and the limits are widened by a fixed factor instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse, stats

from monitoring.encoding import GROUPS, Comparison, Encoded
from monitoring.policy import DriftPolicy
from monitoring.statistics import Sides, compare, stratum_factors, totals, unseen_share

_MOST_INFLATION = 3.0
_FEWEST_RESAMPLES = 30
_FEWEST_WEEKS = 6
_MOST_REPEATED = 5.0
_UNKNOWN_WEEKS = 2.0
"""Widening where what weeks do cannot be learnt: as if it had three times the variance of chance."""


@dataclass(frozen=True)
class Null:
    """What a statistic does while nothing is wrong.

    Attributes:
        center: Its mean over the drawn windows.
        spread: Its standard deviation.
        threshold: Statistic above which a window is not ordinary.
    """

    center: float
    spread: float
    threshold: float


@dataclass(frozen=True)
class Rows:
    """Rows as the tests need them.

    Attributes:
        encoded: The rows as numbers.
        strata: Stratum of each row, -1 for one that the reference does not have; shape (rows,).
        weeks: Week number of each row; shape (rows,).
        clusters: Cluster of each row; shape (rows,).
    """

    encoded: Encoded
    strata: np.ndarray
    weeks: np.ndarray
    clusters: np.ndarray

    def take(self, rows: np.ndarray) -> Rows:
        """Only the given rows."""
        return Rows(self.encoded.take(rows), self.strata[rows], self.weeks[rows], self.clusters[rows])


def statistics_of_window(window: Rows, reference: Rows, tests: list[Comparison], policy: DriftPolicy) -> np.ndarray:
    """The statistics of one window against the whole reference, shape (tests,); NaN where a test has no values."""
    window_mix, reference_mix = (
        weights[None, :] for weights in equal_mix_weights(window, reference, policy.max_stratum_weight)
    )
    sides = Sides(
        window=totals(np.ones((1, len(window.weeks))), window.encoded.mass),
        reference=totals(np.ones((1, len(reference.weeks))), reference.encoded.mass),
        window_equal_mix=totals(window_mix, window.encoded.mass),
        reference_equal_mix=totals(reference_mix, reference.encoded.mass),
    )
    values = np.full(len(tests), np.nan)
    for number, test in enumerate(tests):
        if test.kind != "unseen":
            values[number] = compare(test, sides, min_values=policy.min_values)[0]
            continue
        items = window.encoded.items[test.name]
        unseen = np.asarray(items[:, [-1]].todense()).ravel()
        weights = window_mix if test.at_equal_mix else np.ones((1, len(window.weeks)))
        values[number] = unseen_share(unseen, _row_sums(items), weights, min_values=policy.min_values)[0]
    return values


def equal_mix_weights(window: Rows, reference: Rows, most: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights of the window's and of the reference's rows that give both the same mix of strata."""
    strata = int(max(window.strata.max(initial=0), reference.strata.max(initial=0))) + 1
    factors = stratum_factors(
        _shares(np.ones((1, len(window.weeks))), window.strata, strata),
        _shares(np.ones((1, len(reference.weeks))), reference.strata, strata),
        most,
    )
    return _by_row(factors[0], window.strata)[0], _by_row(factors[1], reference.strata)[0]


@dataclass(frozen=True)
class Size:
    """Size of the windows to calibrate for.

    Attributes:
        rows: Postings.
        labelled: How many of them have a label.
        weeks: Weeks that they span.
    """

    rows: int
    labelled: int
    weeks: int


def calibrate(
    reference: Rows, tests: list[Comparison], policy: DriftPolicy, size: Size, *, seed: int
) -> dict[str, Null]:
    """Thresholds of all tests for windows of one size.

    Args:
        reference: The reference's rows.
        tests: The tests of the encoder.
        policy: States the rate of false alarms of the whole family.
        size: Of the windows.
        seed: Seed of the drawn windows.

    Returns:
        By test; a test that cannot be calibrated (too few values in the reference) is left out.
    """
    nulls: dict[str, Null] = {}
    for group in GROUPS:
        members = [test for test in tests if test.group == group]
        if not members:
            continue
        # Only rows that have what the group compares (an answer, a label) can stand for a window.
        holds = _row_sums(reference.encoded.mass[:, members[0].start : members[0].stop]) > 0
        pool = reference if group == "inputs" else reference.take(np.flatnonzero(holds))
        if len(pool.weeks) == 0:
            continue
        rate = policy.false_alarm_rate * len(members) / len(tests)
        rows = size.labelled if group in ("labels", "quality") else size.rows
        drawn, inflation = _draw(pool, members, policy, rows=max(rows, 1), weeks=size.weeks, seed=seed)
        inflation = inflation or _inflation(len(np.unique(pool.weeks)), rate / len(members))
        nulls |= _thresholds(members, drawn, inflation=inflation, rate=rate)
    return nulls


def _draw(
    pool: Rows, tests: list[Comparison], policy: DriftPolicy, *, rows: int, weeks: int, seed: int
) -> tuple[np.ndarray, float | None]:
    """Statistics of windows drawn from the pool, shape (resamples, tests), and the widening where it is fixed."""
    random = np.random.default_rng(seed)
    clusters = int(pool.clusters.max()) + 1
    choices = _week_choices(pool.weeks, weeks)
    by_cluster = tests[0].group != "inputs" and len(np.unique(pool.weeks)) < _FEWEST_WEEKS
    inside = np.ones((1, len(pool.weeks)), dtype=bool)
    chosen = np.zeros(policy.resamples, dtype=np.int64)
    if by_cluster:
        rest = random.poisson(1.0, size=(policy.resamples, clusters))[:, pool.clusters].astype(np.float32)
    elif choices:
        inside = np.stack([np.isin(pool.weeks, choice) for choice in choices])
        chosen = random.integers(len(choices), size=policy.resamples)
        rest = (~inside[chosen]).astype(np.float32)
    else:
        return np.full((policy.resamples, len(tests)), np.nan), None
    rate = np.minimum(rows / inside.sum(axis=1), _MOST_REPEATED)[chosen]
    poisson = random.poisson(rate[:, None], size=(policy.resamples, clusters))
    window = (poisson[:, pool.clusters] * inside[chosen]).astype(np.float32)
    strata = int(pool.strata.max(initial=0)) + 1
    factors = stratum_factors(
        _shares(window, pool.strata, strata), _shares(rest, pool.strata, strata), policy.max_stratum_weight
    )
    window_mix = window * _by_row(factors[0], pool.strata).astype(np.float32)
    rest_mix = rest * _by_row(factors[1], pool.strata).astype(np.float32)
    mass = pool.encoded.mass
    sides = Sides(totals(window, mass), totals(rest, mass), totals(window_mix, mass), totals(rest_mix, mass))
    drawn = np.full((policy.resamples, len(tests)), np.nan)
    for number, test in enumerate(tests):
        if test.kind != "unseen":
            drawn[:, number] = compare(test, sides, min_values=policy.min_values / 2)
            continue
        items = pool.encoded.items[test.name]
        drawn[:, number] = unseen_share(
            _unseen_per_choice(items, inside)[chosen],
            _row_sums(items),
            window_mix if test.at_equal_mix else window,
            min_values=policy.min_values / 2,
        )
    return drawn, _UNKNOWN_WEEKS if by_cluster else None


def _week_choices(weeks: np.ndarray, wanted: int) -> list[np.ndarray]:
    """Runs of consecutive weeks to draw windows from, at most half of the weeks each.

    Runs with less than half of the usual number of rows are left out: a window of full size cannot be drawn
    from them without repeating rows.
    """
    present, counts = np.unique(weeks, return_counts=True)
    length = max(1, min(wanted, len(present) // 2))
    runs = [np.arange(start, start + length) for start in range(len(present) - length + 1)]
    sizes = [int(counts[run].sum()) for run in runs]
    usual = float(np.median(sizes)) if sizes else 0.0
    return [
        present[run] for run, size in zip(runs, sizes, strict=True) if size >= usual / 2 and len(run) < len(present)
    ]


def _unseen_per_choice(items: sparse.csr_matrix, inside: np.ndarray) -> np.ndarray:
    """Values of each row that occur in no row outside of each choice, shape (choices, rows)."""
    present = (items > 0).astype(np.float32)
    outside = np.asarray(present.T @ (~inside).T.astype(np.float32))
    return np.asarray(items @ (outside == 0).astype(np.float32)).T


def _thresholds(tests: list[Comparison], drawn: np.ndarray, *, inflation: float, rate: float) -> dict[str, Null]:
    usable = np.flatnonzero((~np.isnan(drawn)).sum(axis=0) >= _FEWEST_RESAMPLES)
    if len(usable) == 0:
        return {}
    kept = drawn[:, usable]
    kept = kept[~np.isnan(kept).all(axis=1)]
    center = np.nanmean(kept, axis=0)
    spread = np.maximum(np.nanstd(kept, axis=0), 1e-4)
    largest = np.nanmax((kept - center) / spread, axis=1)
    allowed = float(np.nanquantile(largest, 1 - rate)) * inflation
    return {
        tests[number].name: Null(
            float(center[place]), float(spread[place]), float(center[place] + allowed * spread[place])
        )
        for place, number in enumerate(usable)
    }


def _inflation(blocks: int, rate: float) -> float:
    """A spread learnt from few weeks is uncertain: the ratio of Student's to the normal quantile, capped."""
    student = stats.t.ppf(1 - rate, max(blocks - 1, 1))
    return float(min(student / stats.norm.ppf(1 - rate), _MOST_INFLATION))


def _shares(weights: np.ndarray, strata: np.ndarray, count: int) -> np.ndarray:
    """Share of each stratum under each weighting, (weightings, strata); rows without a stratum count in the total."""
    known = strata >= 0
    one_hot = sparse.csr_matrix(
        (np.ones(int(known.sum()), dtype=np.float32), (np.flatnonzero(known), strata[known])), (len(strata), count)
    )
    total = np.maximum(weights.sum(axis=1, keepdims=True), 1e-9)
    return np.asarray(totals(weights, one_hot) / total)


def _by_row(factors: np.ndarray, strata: np.ndarray) -> np.ndarray:
    """Factor of each row's stratum, zero for rows without one; (weightings, rows)."""
    padded = np.concatenate([factors, np.zeros((len(factors), 1))], axis=1)
    return np.asarray(padded[:, strata])


def _row_sums(matrix: sparse.csr_matrix) -> np.ndarray:
    return np.asarray(matrix.sum(axis=1)).ravel()


def to_json(nulls: dict[str, Null]) -> dict[str, Any]:
    """Plain form for the cache."""
    return {name: vars(null) for name, null in nulls.items()}


def from_json(content: dict[str, Any]) -> dict[str, Null]:
    """Reads what `to_json` wrote."""
    return {name: Null(**null) for name, null in content.items()}
