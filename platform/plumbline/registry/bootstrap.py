"""Paired bootstrap of the difference between two classifiers on the same rows.

Rows are drawn with replacement, both models are scored on the same draw, and the differences' quantiles bound
the true difference (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, ch. 13; for paired system
comparison: Koehn, Statistical Significance Tests for Machine Translation Evaluation, EMNLP 2004).
A draw is kept as how often each row was drawn, so that all draws are scored by a few matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """Challenger minus champion, with its one-sided bounds."""

    estimate: float
    lower: float
    upper: float


def draw_counts(rows: int, *, resamples: int, seed: int) -> Floats:
    """How often each row was drawn in each resample; shape [resamples, rows], each line sums to `rows`."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(rows, np.full(rows, 1.0 / rows), size=resamples).astype(np.float64)


def accuracy_of(truth: Codes, predicted: Codes, counts: Floats) -> Floats:
    """Accuracy per resample, shape [resamples]."""
    scores: Floats = (counts @ (truth == predicted).astype(np.float64)) / counts.sum(axis=1)
    return scores


def class_f1_of(truth: Codes, predicted: Codes, counts: Floats, classes: int) -> tuple[Floats, Floats]:
    """F1 of each class per resample, and how often the class occurs in it; both of shape [resamples, classes].

    F1 is zero for a class that a resample has neither in the truth nor in the answers.
    """
    truth_hot = np.eye(classes)[truth]
    predicted_hot = np.eye(classes)[predicted]
    hits = counts @ (truth_hot * predicted_hot)
    occurs = counts @ truth_hot
    total = occurs + counts @ predicted_hot
    return np.divide(2 * hits, total, out=np.zeros_like(hits), where=total > 0), occurs


def macro_f1_of(truth: Codes, predicted: Codes, counts: Floats, classes: int) -> Floats:
    """Unweighted mean F1 over the classes that occur in `truth`, per resample, shape [resamples].

    A class that a resample did not draw counts as missing in it, not as zero.
    """
    f1, occurs = class_f1_of(truth, predicted, counts, classes)
    drawn = occurs > 0
    scores: Floats = (f1 * drawn).sum(axis=1) / drawn.sum(axis=1)
    return scores


def bounds(estimate: float, resampled: Floats, confidence: float) -> Difference:
    """One-sided bounds: each holds with probability `confidence`."""
    lower, upper = np.quantile(resampled, [1.0 - confidence, confidence])
    return Difference(estimate=float(estimate), lower=float(lower), upper=float(upper))
