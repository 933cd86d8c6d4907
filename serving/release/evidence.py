"""Evidence that may be looked at after every request: e-processes.

An e-process is a sequence of non-negative numbers whose mean is at most 1 at any stopping time while the hypothesis
holds. By Ville's inequality it ever reaches 1/alpha with probability at most alpha: whoever watches it all the time
and stops when they like still errs no more often than alpha (Howard, Ramdas, McAuliffe and Sekhon, Time-uniform,
nonparametric, nonasymptotic confidence sequences, Annals of Statistics 49, 2021; Ramdas, Gruenwald, Vovk and
Shafer, Game-theoretic statistics and safe anytime-valid inference, Statistical Science 38, 2023).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_EDGE = 1e-4
"""Rates are kept this far from 0 and 1, where one observation would settle everything."""

_EXCESSES = np.array([0.02, 0.05, 0.1, 0.2, 0.4, 0.8])
"""How much worse than the tolerance the canary might be. A mixture over them costs ln 6 = 1.8 of log-evidence."""

_STAKES = np.array([0.02, 0.05, 0.1, 0.2, 0.4, 0.8])
"""Stakes of the paired bet, each as a part of the largest that cannot lose everything."""

_PRIOR_FAILURES, _PRIOR_OBSERVATIONS = 0.2, 20.0
_FORGETTING = 0.99
"""Per block. The champion's rate moves with the load; a wrong guess costs evidence, not validity."""

_BISECTIONS = 30


class _Mixture:
    """Mixes e-processes over alternatives and over the instants at which they begin.

    A process that began with the release has lost what it can lose by the time a canary that was good turns bad. So
    part of the initial stake is kept back: w_j of it is laid at the beginning of epoch j, w_j = 1 / (j (j + 1)),
    which sums to 1. The mixture then needs 2 ln j more of log-evidence in epoch j, instead of all that was lost.
    (The restarts of e-detectors: Shin, Ramdas and Rinaldo, New England Journal of Statistics in Data Science 2,
    2024. They bound the time between false alarms; summable weights bound the chance of one in the whole release.)
    """

    def __init__(self, alternatives: int, *, blocks_per_epoch: int) -> None:
        self._log = np.full(alternatives, -np.inf)
        self._log_share = -math.log(alternatives)
        self._blocks_per_epoch = blocks_per_epoch
        self._blocks = 0
        self.log_e = 0.0
        self.peak = 0.0

    def multiply(self, log_factors: Floats) -> None:
        """Takes in a block's factor for each alternative, shape (alternatives,), as logarithms."""
        if self._blocks % self._blocks_per_epoch == 0:
            epoch = self._blocks // self._blocks_per_epoch + 1
            self._log = np.logaddexp(self._log, self._log_share - math.log(epoch * (epoch + 1)))
        self._blocks += 1
        self._log = self._log + log_factors
        epochs = (self._blocks - 1) // self._blocks_per_epoch + 1
        kept_back = -math.log(epochs + 1)  # the sum of all later w_j
        self.log_e = float(np.logaddexp(np.logaddexp.reduce(self._log), kept_back))
        self.peak = max(self.peak, self.log_e)


class TwoSampleEvidence:
    """Evidence against "the canary's failure rate exceeds the champion's by at most the tolerance".

    Observations are numbers in [0, 1] with means a (champion) and b (canary); the hypothesis is b <= a + tolerance.
    Of each block, once its sizes m (champion) and n (canary) are known but not its outcomes, and for each
    alternative (a', b'), the point (a0, b0) of the hypothesis is found that minimises
    m kl(a', a0) + n kl(b', b0), and the evidence is multiplied by the product over the block of
    1 + (x - a0) (a' - a0) / (a0 (1 - a0)) for the champion's x, and the same with b for the canary's. For outcomes
    0 and 1 these are the likelihood ratios of Turner, Ly and Gruenwald (Generic E-variables for exact sequential
    k-sample tests that allow for optional stopping, Journal of Statistical Planning and Inference 230, 2024; with a
    tolerance: Turner and Gruenwald, Exact anytime-valid confidence intervals for contingency tables and beyond,
    Statistics and Probability Letters 198, 2023).

    Why its mean is at most 1 on the whole hypothesis: the logarithm of the product of the means is concave in
    (a, b) and 0 at (a0, b0), and its gradient there is minus that of the minimised function, which does not point
    into a convex hypothesis at its minimum. By concavity the rates may also differ from observation to observation
    as long as their means over the block obey the hypothesis; and what fails champion and canary together lowers
    the product's mean, since their factors move in opposite directions.

    The alternatives are a' = what earlier blocks say of the champion, b' = a' + tolerance + each of several excesses.

    Args:
        tolerance: By how much the canary's rate may exceed the champion's, -1 to 1.
        blocks_per_epoch: Blocks after which fresh evidence begins.
    """

    def __init__(self, tolerance: float, *, blocks_per_epoch: int = 20) -> None:
        self._tolerance = tolerance
        self._mixture = _Mixture(len(_EXCESSES), blocks_per_epoch=blocks_per_epoch)
        self._failures, self._observations = _PRIOR_FAILURES, _PRIOR_OBSERVATIONS

    @property
    def log_e(self) -> float:
        """Natural logarithm of the evidence now."""
        return self._mixture.log_e

    def refutes(self, alpha: float) -> bool:
        """Whether the evidence has ever reached 1/alpha."""
        return self._mixture.peak >= -math.log(alpha)

    def add(self, champion: Sequence[float] | Floats, canary: Sequence[float] | Floats) -> None:
        """Takes in one block.

        Args:
            champion: Its observations, each in [0, 1], at least one.
            canary: The same of the canary.
        """
        xs, ys = np.asarray(champion, dtype=np.float64), np.asarray(canary, dtype=np.float64)
        self._mixture.multiply(self._log_factors(xs, ys))
        self._failures = _FORGETTING * self._failures + float(xs.sum())
        self._observations = _FORGETTING * self._observations + len(xs)

    def _log_factors(self, xs: Floats, ys: Floats) -> Floats:
        """Logarithm of the block's factor for each excess, shape (excesses,)."""
        low = max(_EDGE, _EDGE - self._tolerance)
        high = min(1 - _EDGE, 1 - _EDGE - self._tolerance)
        a = min(max(self._failures / self._observations, low), high)
        # Where the champion's rate leaves no room for an excess the alternative does not bet: b = b0, factor 1.
        bs = np.clip(a + self._tolerance + _EXCESSES, a + self._tolerance, 1 - _EDGE)
        a0 = np.array([_nearest(a, float(b), self._tolerance, len(xs), len(ys)) for b in bs])[:, None]
        b0 = a0 + self._tolerance
        slope_a = (a - a0) / (a0 * (1 - a0))
        slope_b = (bs[:, None] - b0) / (b0 * (1 - b0))
        logs: Floats = np.log1p(slope_a * (xs - a0)).sum(axis=1) + np.log1p(slope_b * (ys - b0)).sum(axis=1)
        return logs


def _nearest(a: float, b: float, tolerance: float, m: int, n: int) -> float:
    """a0 of the (a0, a0 + tolerance) that minimises m kl(a, a0) + n kl(b, a0 + tolerance), for b > a + tolerance.

    The derivative rises from below zero at a0 = a to above zero at a0 + tolerance = b.
    """
    low, high = a, b - tolerance
    for _ in range(_BISECTIONS):
        a0 = (low + high) / 2
        b0 = a0 + tolerance
        slope = m * (a0 - a) / (a0 * (1 - a0)) + n * (b0 - b) / (b0 * (1 - b0))
        low, high = (a0, high) if slope < 0 else (low, a0)
    return (low + high) / 2


class PairedEvidence:
    """Evidence against "on the same postings, the new version is wrong more often by at most the tolerance".

    Of a pair, d is 1 if only the new version is wrong, -1 if only the champion is, else 0; the hypothesis is
    E d <= tolerance. The evidence is multiplied by 1 + s (d - tolerance), a bet that cannot lose more than it has
    for 0 <= s < 1 / (1 + tolerance): betting on a bounded mean, mixed over stakes s (Waudby-Smith and Ramdas,
    Estimating means of bounded random variables by betting, Journal of the Royal Statistical Society B 86, 2024).

    Args:
        tolerance: By how much the new version's share of wrong answers may exceed the champion's, -1 to 1.
        blocks_per_epoch: Pairs after which fresh evidence begins.
    """

    def __init__(self, tolerance: float, *, blocks_per_epoch: int = 500) -> None:
        self._tolerance = tolerance
        self._stakes = _STAKES / (1 + tolerance)
        self._mixture = _Mixture(len(_STAKES), blocks_per_epoch=blocks_per_epoch)

    @property
    def log_e(self) -> float:
        """Natural logarithm of the evidence now."""
        return self._mixture.log_e

    def refutes(self, alpha: float) -> bool:
        """Whether the evidence has ever reached 1/alpha."""
        return self._mixture.peak >= -math.log(alpha)

    def add(self, difference: float) -> None:
        """Takes in one pair: 1 if only the new version is wrong, -1 if only the champion is, else 0."""
        self._mixture.multiply(np.log1p(self._stakes * (difference - self._tolerance)))
