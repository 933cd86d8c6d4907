"""Classification figures and their bootstrap intervals, from confusion counts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]


def confusion(truth: Codes, answers: Codes, classes: int) -> NDArray[np.int64]:
    """Counts, shape [classes, classes]: rows are the truth, columns the answers."""
    return np.bincount(truth * classes + answers, minlength=classes * classes).reshape(classes, classes)


def macro_f1(truth: Codes, answers: Codes, classes: int) -> float:
    """Mean F1 over the classes that occur in the truth or in the answers (as scikit-learn does)."""
    return float(_macro(confusion(truth, answers, classes)[None].astype(float))[0])


def per_class(matrix: NDArray[np.int64]) -> dict[str, Floats]:
    """`precision`, `recall`, `f1` (0 where undefined) and `support` of each class."""
    right, support, answered = np.diag(matrix).astype(float), matrix.sum(1).astype(float), matrix.sum(0).astype(float)
    return {
        "precision": _ratio(right, answered),
        "recall": _ratio(right, support),
        "f1": _ratio(2 * right, support + answered),
        "support": support,
    }


def bootstrap(
    truth: Codes, answers: Codes, classes: int, *, seed: int, resamples: int = 1000, confidence: float = 0.95
) -> dict[str, tuple[float, float]]:
    """Percentile intervals of `accuracy` and `macro_f1` (Efron and Tibshirani 1993, chapter 13).

    Resampling n rows with replacement is a multinomial draw over the cells of the confusion matrix: the cost does
    not grow with n.
    """
    matrix = confusion(truth, answers, classes)
    if not len(truth):
        return {"accuracy": (0.0, 0.0), "macro_f1": (0.0, 0.0)}
    shares = matrix.ravel() / len(truth)
    draws = np.random.default_rng(seed).multinomial(len(truth), shares, size=resamples)
    matrices = draws.reshape(resamples, classes, classes).astype(float)
    accuracy = matrices.diagonal(axis1=1, axis2=2).sum(1) / len(truth)
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    return {
        name: (float(low), float(high))
        for name, (low, high) in (
            ("accuracy", np.quantile(accuracy, tails)),
            ("macro_f1", np.quantile(_macro(matrices), tails)),
        )
    }


def _macro(matrices: Floats) -> Floats:
    """Shape [draws, classes, classes] to [draws]."""
    right = matrices.diagonal(axis1=1, axis2=2)
    occurrences = matrices.sum(1) + matrices.sum(2)
    f1 = _ratio(2 * right, occurrences)
    seen = (occurrences > 0).sum(1)
    means: Floats = f1.sum(1) / np.maximum(seen, 1)
    return means


def _ratio(numerator: Floats, denominator: Floats) -> Any:
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)
