"""Calibration: one temperature over the scores, and how far probabilities are from the truth."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

BINS: Final = 10
_GOLDEN: Final = (np.sqrt(5) - 1) / 2

Scores = NDArray[np.floating[Any]]
Codes = NDArray[np.int64]


def softmax(scores: Scores, sharpness: float = 1.0) -> NDArray[np.float32]:
    """Probabilities from scores, shape [rows, classes]."""
    powers = scores - np.maximum.reduce(scores, 1, keepdims=True, initial=-np.inf)
    powers *= sharpness
    np.exp(powers, out=powers)
    powers /= np.add.reduce(powers, 1, keepdims=True)
    return powers.astype(np.float32, copy=False)


def log_loss(scores: Scores, truth: Codes, sharpness: float = 1.0) -> float:
    """Mean negative log likelihood, nats."""
    shifted = sharpness * (scores - scores.max(1, keepdims=True))
    return float(np.mean(np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(truth)), truth]))


def fit_sharpness(scores: Scores, truth: Codes) -> float:
    """The factor (inverse temperature) that minimises the log loss: Guo et al., ICML 2017.

    One number cannot change which class comes first, and a few hundred rows are enough for it; a factor per class
    would learn the class shares of two weeks.
    """
    if not len(truth):
        return 1.0
    low, high = np.log(0.05), np.log(50.0)
    for _ in range(60):  # golden section: the loss is convex in the factor, so unimodal in its logarithm
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        if log_loss(scores, truth, float(np.exp(left))) < log_loss(scores, truth, float(np.exp(right))):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))


def reliability(probabilities: Scores, truth: Codes, bins: int = BINS) -> list[dict[str, float]]:
    """Rows by the probability of the answer: `lower`, `upper`, `n`, mean `confidence`, `accuracy`; no empty bins."""
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == truth
    places = np.minimum((confidence * bins).astype(int), bins - 1)
    return [
        {
            "lower": place / bins,
            "upper": (place + 1) / bins,
            "n": int((places == place).sum()),
            "confidence": float(confidence[places == place].mean()),
            "accuracy": float(right[places == place].mean()),
        }
        for place in np.unique(places)
    ]


def calibration_error(probabilities: Scores, truth: Codes, bins: int = BINS) -> float:
    """Expected calibration error of the answers, equal-width bins (Naeini et al., AAAI 2015); 0 without rows."""
    if not len(truth):
        return 0.0
    table = reliability(probabilities, truth, bins)
    return float(sum(row["n"] * abs(row["confidence"] - row["accuracy"]) for row in table) / len(truth))
