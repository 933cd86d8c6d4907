"""Slices of the evaluation rows on which two models are compared, with tests that fit small ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plumbline.registry.bootstrap import Codes, Floats, class_f1_of


@dataclass(frozen=True)
class SliceChange:
    """How two models do on one slice."""

    kind: str
    """`class` or `board`."""

    value: str
    rows: int
    measure: str
    """`accuracy` for boards. `F1` for classes: on the rows of one class alone, accuracy is recall, and a model that
    answers that class too often would have the highest."""

    champion: float
    challenger: float
    difference: float
    p_worse: float
    """Chance of a fall at least this large if both models were equally good, one-sided."""


def slice_changes(
    groups: Mapping[str, Sequence[str]],
    *,
    challenger_right: NDArray[np.bool_],
    champion_right: NDArray[np.bool_],
    min_rows: int,
) -> list[SliceChange]:
    """Compares two models' accuracy on every value with at least `min_rows` rows, by an exact test.

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
                    measure="accuracy",
                    champion=float(champion.mean()),
                    challenger=float(challenger.mean()),
                    difference=float(challenger.mean() - champion.mean()),
                    p_worse=p_worse(lost=int((champion & ~challenger).sum()), won=int((challenger & ~champion).sum())),
                )
            )
    return changes


def class_changes(
    truth: Codes, challenger: Codes, champion: Codes, *, labels: Sequence[str], counts: Floats, min_rows: int
) -> list[SliceChange]:
    """Compares two models' F1 on every class with at least `min_rows` rows, by paired bootstrap.

    Args:
        truth: Class index of each row, shape [rows].
        challenger: The challenger's answers, shape [rows].
        champion: The champion's answers, shape [rows].
        labels: Text of each class index.
        counts: Draws of `draw_counts`, shape [resamples, rows].
        min_rows: Smaller classes are left out.
    """
    once = np.ones((1, len(truth)))
    now, rows = class_f1_of(truth, challenger, once, len(labels))
    before, _ = class_f1_of(truth, champion, once, len(labels))
    drawn_now, _ = class_f1_of(truth, challenger, counts, len(labels))
    drawn_before, _ = class_f1_of(truth, champion, counts, len(labels))
    not_worse = (drawn_now >= drawn_before).mean(axis=0)
    return [
        SliceChange(
            kind="class",
            value=label,
            rows=int(rows[0, index]),
            measure="F1",
            champion=float(before[0, index]),
            challenger=float(now[0, index]),
            difference=float(now[0, index] - before[0, index]),
            p_worse=float(not_worse[index]),
        )
        for index, label in enumerate(labels)
        if rows[0, index] >= min_rows
    ]


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
