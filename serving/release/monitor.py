"""Judges a canary by what one replica sees of it: errors, answers after the budget, time of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from plumbline.settings.serving_release import ReleaseSettings
from serving.engine.release_hook import Outcome
from serving.release.evidence import TwoSampleEvidence
from serving.release.observations import Observations

BLOCK_SECONDS = 0.5
"""How often evidence is weighed: about a tenth of a millisecond of the event loop per test."""

OWN_SHARE = 0.5
"""Of the budget, that a version's own time may take. A query waits for the batch under way and for its own: if two
batches do not fit into the budget, its answers are late as soon as there is load."""

_TESTS = {
    "errors": "it errs more often than the champion",
    "late": "its answers miss the budget more often than the champion's",
    "slow": f"its own time exceeds {OWN_SHARE:.0%} of the budget more often than the champion's",
}
"""`late` counts from arrival, the wait for others included; `slow` encoding and forward pass only. Both variants take
turns in computing, so that a slow canary makes the champion late as often as itself: `slow` then tells who it is."""


@dataclass(frozen=True)
class Breach:
    """Why a canary must go."""

    why: str
    numbers: dict[str, Any]


class Monitor:
    """Weighs a canary's outcomes against those of the champion beside it.

    Three e-processes, each at `alpha` / (3 x `judges`), so that the chance of rolling back a canary that does as well
    as the champion is at most `alpha` over the whole release (the union bound), whenever and however often it is
    looked at. Beside them a guard for what needs no statistics: errors in a row. If the champion's share of errors
    is p, and errors come independently, a good canary meets the guard within n requests with a chance of at most
    n p^`guard_errors`: 1e-10 for a million requests at 1%.

    Args:
        limits: What the release is judged by.
        budget_seconds: Of the lane. A query's own counts where it is longer; where it is shorter it does not: a
            client that allows a millisecond must not take a canary down.
    """

    def __init__(self, limits: ReleaseSettings, *, budget_seconds: float) -> None:
        self._limits = limits
        self._budget = budget_seconds
        self._alpha = limits.alpha / (len(_TESTS) * limits.judges)
        tolerances = {
            "errors": limits.error_tolerance,
            "late": limits.budget_tolerance,
            "slow": limits.budget_tolerance,
        }
        self._evidence = {test: TwoSampleEvidence(tolerance) for test, tolerance in tolerances.items()}
        self._seen = Observations()
        self._next_look: float | None = None

    def observe(self, outcome: Outcome, now: float) -> Breach | None:
        """Takes in an outcome of champion or canary.

        Args:
            outcome: What came of a query.
            now: `time.monotonic()`.

        Returns:
            Why the canary must go, once it must.
        """
        budget = max(self._budget, outcome.budget)
        add = self._seen.add_canary if outcome.role == "canary" else self._seen.add_champion
        add(
            now,
            outcome.request_id,
            error=outcome.error is not None,
            late=outcome.seconds > budget,
            slow=outcome.own_seconds > OWN_SHARE * budget,
        )
        if self._seen.errors_in_a_row >= self._limits.guard_errors:
            number = self._seen.errors_in_a_row
            return Breach(f"The canary failed on {number} requests in a row.", self.numbers())
        if self._next_look is None:
            self._next_look = now + BLOCK_SECONDS
        return self._look(now) if now >= self._next_look else None

    def numbers(self) -> dict[str, Any]:
        """Counts of both variants, and the evidence of each test (natural logarithm), with where it would suffice."""
        sides = {"champion": self._seen.champion, "canary": self._seen.canary}
        counts = {
            role: {"requests": side.requests, "errors": side.errors, "late": side.late, "slow": side.slow}
            for role, side in sides.items()
        }
        return {
            **counts,
            "log_evidence": {test: round(each.log_e, 3) for test, each in self._evidence.items()},
            "alpha_per_test": self._alpha,
        }

    def _look(self, now: float) -> Breach | None:
        champion, canary = self._seen.champion, self._seen.canary
        self._next_look = now + BLOCK_SECONDS
        if not champion.slices or not canary.slices:
            return None  # the block goes on until it holds both
        for test, evidence in self._evidence.items():
            evidence.add(champion.shares(test), canary.shares(test))
        self._seen.forget_slices()
        found = [why for test, why in _TESTS.items() if self._evidence[test].refutes(self._alpha)]
        if not found:
            return None
        return Breach(f"The canary must go: {', and '.join(found)}.", self.numbers())
