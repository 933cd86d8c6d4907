"""Slices of the evaluation rows on which two models are compared, with an exact test for small ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class SliceChange:
    """How two models do on the rows that share a value."""

    kind: str
    """`class` or `board`."""

    value: str
    rows: int
    champion: float
    """Share of rows that the champion answers rightly."""

    challenger: float
    """Share of rows that the challenger answers rightly."""

    difference: float
    p_worse: float
    """Chance of a fall at least this large if both models were equally good: exact, one-sided."""


def slice_changes(
    groups: Mapping[str, Sequence[str]],
    *,
    challenger_right: NDArray[np.bool_],
    champion_right: NDArray[np.bool_],
    min_rows: int,
) -> list[SliceChange]:
    """Compares two models on every value with at least `min_rows` rows.

    Args:
        groups: Kind of slice to each row's value.
        challenger_right: Whether the challenger answers each row rightly, shape [rows].
        champion_right: The same of the champion, shape [rows].
        min_rows: Smaller slices are left out.
    """
    changes = []
    for kind, values in groups.items():
        texts = np.asarray(values, dtype=object)
        for value in sorted(set(values)):
            here = texts == value
            rows = int(here.sum())
            if rows < min_rows:
                continue
            challenger, champion = challenger_right[here], champion_right[here]
            changes.append(
                SliceChange(
                    kind=kind,
                    value=value,
                    rows=rows,
                    champion=float(champion.mean()),
                    challenger=float(challenger.mean()),
                    difference=float(challenger.mean() - champion.mean()),
                    p_worse=p_worse(lost=int((champion & ~challenger).sum()), won=int((challenger & ~champion).sum())),
                )
            )
    return changes


def p_worse(*, lost: int, won: int) -> float:
    """Exact one-sided McNemar test (McNemar, Psychometrika 12, 1947; exact form: binomial over discordant rows).

    Args:
        lost: Rows that only the champion answers rightly.
        won: Rows that only the challenger answers rightly.

    Returns:
        P(X >= lost) for X ~ Binomial(lost + won, 1/2).
    """
    discordant = lost + won
    tail = sum(math.comb(discordant, k) for k in range(lost, discordant + 1))
    return float(tail / 2**discordant)
