"""The reference of the monitors: rows that the model has not seen, with its answers and the true labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

if TYPE_CHECKING:
    from plumbline.model.protocol import TextClassifier

PART = "part"
"""`evaluation` (later than all of training; the gate judges on these) or `calibration`."""

PREDICTION = "prediction"
PROBABILITY = "probability"
"""The calibrated probability of the prediction."""


def answer(model: TextClassifier, frame: pd.DataFrame) -> tuple[NDArray[np.object_], NDArray[np.float64]]:
    """The model's answers to postings with their features.

    Returns:
        Labels, shape [rows], and their probabilities, shape [rows].
    """
    probabilities = np.asarray(model.predict_proba(records_of(frame)), dtype=np.float64)
    best = probabilities.argmax(axis=1)
    labels = np.asarray(model.labels, dtype=object)[best]
    return labels, probabilities[np.arange(len(best)), best]


def reference_frame(model: TextClassifier, parts: Sequence[tuple[str, pd.DataFrame]]) -> pd.DataFrame:
    """The parts' rows, one below the other, with the columns `part`, `prediction` and `probability`."""
    answered = []
    for part, frame in parts:
        labels, probability = answer(model, frame)
        answered.append(frame.assign(part=part, prediction=labels, probability=probability))
    return pd.concat(answered, ignore_index=True)


def records_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as mappings; what is missing is None, as in a request."""
    columns = {}
    for name in frame.columns:
        values = frame[name].astype(object)
        columns[name] = values.where(values.notna(), None).tolist()
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
