"""The reference of the monitors: rows that the model has not seen, with its answers and the true labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

if TYPE_CHECKING:
    from plumbline.model.protocol import TextClassifier

PART = "part"
PREDICTION = "prediction"

EVALUATION = "evaluation"
"""Rows later than all of training: the gate judges on these."""

CALIBRATION = "calibration"
"""Rows that set the probabilities, but not the weights."""

FITTED = "train"
"""Rows that the weights were fitted on: their answers flatter the model."""


def answer(model: TextClassifier, frame: pd.DataFrame) -> tuple[NDArray[np.object_], NDArray[np.float64]]:
    """The model's answers to postings with their features.

    Returns:
        Labels, shape [rows], and their calibrated probabilities, shape [rows].
    """
    from plumbline.model.evaluate import predict

    probabilities = predict(model, frame).astype(np.float64)
    best = probabilities.argmax(axis=1)
    return np.asarray(model.labels, dtype=object)[best], probabilities[np.arange(len(best)), best]


def reference_frame(model: TextClassifier, *, evaluation: pd.DataFrame, calibration: pd.DataFrame) -> pd.DataFrame:
    """Both parts with the columns `part`, `prediction` and `probability`.

    Calibration rows count as fitted when the model was trained once more with them.
    """
    second = FITTED if model.metadata.get("refit") else CALIBRATION
    answered = []
    for part, frame in ((EVALUATION, evaluation), (second, calibration)):
        labels, probability = answer(model, frame)
        answered.append(frame.assign(part=part, prediction=labels, probability=probability))
    return pd.concat(answered, ignore_index=True)
