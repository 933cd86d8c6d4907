"""The rule by which a batch fits a budget, and the search for the largest one that does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from plumbline.errors import GateRefusedError, UserError
from serving.tuning.measure import BatchTimes

LARGEST = 1024
"""As `serving.max_batch_size` allows."""

_STEPS_BETWEEN = 3
"""Measurements between the largest power of two that fits and the next, which does not."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A query may wait for a batch of each model that is being computed or due before its own, and then for its own:
    (models + 1) x p99(batch) + features + margin <= budget.
    """

    budget_ms: float
    features_ms: float
    """What the online features may take of it (`serving.features_budget_ms`)."""
    margin_ms: float
    """For parsing, validation, masking, the log and the socket."""
    models: int
    """Models that take turns in one replica."""

    def allowed_ms(self) -> float:
        """Longest p99 of a batch.

        Raises:
            UserError: Features and margin leave nothing.
        """
        left = self.budget_ms - self.features_ms - self.margin_ms
        if left <= 0:
            raise UserError(
                f"A budget of {self.budget_ms:g} ms leaves nothing for the model: features may take "
                f"{self.features_ms:g} ms and {self.margin_ms:g} ms are kept for the rest. Raise --budget-ms, or lower "
                "serving.features_budget_ms or --margin-ms."
            )
        return left / (self.models + 1)


def largest_batch(timed: Callable[[int], BatchTimes], allowed_ms: float) -> tuple[int, list[BatchTimes]]:
    """Doubles the size until it does not fit, then halves what is between.

    Args:
        timed: Measures a batch size.
        allowed_ms: Longest p99.

    Returns:
        The largest size that was measured to fit, and all measurements, by size.

    Raises:
        GateRefusedError: A single posting takes longer.
    """
    measured: dict[int, BatchTimes] = {}

    def fits(size: int) -> bool:
        measured[size] = timed(size)
        return measured[size].p99_ms <= allowed_ms

    size = 1
    if not fits(size):
        raise GateRefusedError(
            f"One posting takes {measured[1].p99_ms:.1f} ms (p99) on this device, more than the {allowed_ms:.1f} ms "
            "that the budget leaves to a batch. Raise --budget-ms, choose a smaller encoder, or give the replica a GPU."
        )
    while size < LARGEST and fits(2 * size):
        size *= 2
    low, high = size, 2 * size
    for _ in range(_STEPS_BETWEEN if size < LARGEST else 0):
        middle = (low + high) // 2
        if middle == low:
            break
        if fits(middle):
            low = middle
        else:
            high = middle
    return low, [measured[each] for each in sorted(measured)]
