"""Evaluation of a model on labelled rows: figures, intervals, slices, calibration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from plumbline.errors import MissingInputError
from plumbline.model.calibrate import calibration_error, reliability
from plumbline.model.metrics import bootstrap, confusion, macro_f1, per_class
from plumbline.model.protocol import TextClassifier
from plumbline.model.split import SEEN_BEFORE

_BATCH: Final = 512
_LENGTHS: Final = ((0, 50), (50, 150), (150, 300), (300, None))
"""Buckets of the description's length, words."""


@dataclass(frozen=True)
class Evaluation:
    """What a model answered on rows with known labels."""

    labels: list[str]
    """Classes of the model, then those that only the rows have."""

    truth: NDArray[np.int64]
    """Codes into `labels`, shape [rows]."""

    probabilities: NDArray[np.float32]
    """Shape [rows, classes of the model]."""

    slices: list[dict[str, Any]]
    """`by`, `value`, `n`, `accuracy`, `macro_f1` of each part of the rows."""

    seed: int

    @property
    def answers(self) -> NDArray[np.int64]:
        """Codes of the most probable class, shape [rows]."""
        answers: NDArray[np.int64] = self.probabilities.argmax(1).astype(np.int64)
        return answers

    @property
    def confusion(self) -> NDArray[np.int64]:
        """Counts, shape [labels, labels]: rows are the truth."""
        return confusion(self.truth, self.answers, len(self.labels))

    def predictions(self) -> pd.DataFrame:
        """`label` (the truth), `prediction` and its `probability`, in the rows' order."""
        names = np.array(self.labels, dtype=object)
        return pd.DataFrame(
            {
                "label": names[self.truth],
                "prediction": names[self.answers],
                "probability": self.probabilities.max(1).astype(float),
            }
        )

    def summary(self) -> dict[str, Any]:
        """All figures, JSON-able. Intervals hold 95%, from 1,000 resamples."""
        matrix = self.confusion
        figures = per_class(matrix)
        intervals = bootstrap(self.truth, self.answers, len(self.labels), seed=self.seed)
        support = figures["support"]
        return {
            "n": len(self.truth),
            "accuracy": float((self.answers == self.truth).mean()),
            "accuracy_interval": list(intervals["accuracy"]),
            "macro_f1": macro_f1(self.truth, self.answers, len(self.labels)),
            "macro_f1_interval": list(intervals["macro_f1"]),
            "weighted_f1": float((figures["f1"] * support).sum() / support.sum()),
            "per_class": {
                label: {name: float(values[place]) for name, values in figures.items()}
                for place, label in enumerate(self.labels)
            },
            "slices": self.slices,
            "calibration": {
                "ece": calibration_error(self.probabilities, self.truth),
                "bins": reliability(self.probabilities, self.truth),
            },
            "confusion": {"labels": self.labels, "counts": matrix.tolist()},
        }


def evaluate(model: TextClassifier, frame: pd.DataFrame, *, seed: int) -> Evaluation:
    """Scores labelled rows.

    Args:
        model: Any classifier.
        frame: `title`, `description`, `label`, and the model's features as columns (absent ones take their
            defaults). Slices are made from `board`, `language`, `company` and `seen_before` where they are there.
        seed: Of the bootstrap.

    Raises:
        MissingInputError: There are no labelled rows.
    """
    labelled = frame[frame["label"].notna()]
    if labelled.empty:
        raise MissingInputError("There are no labelled rows to evaluate on. Give a file, or an instant, with labels.")
    truths = labelled["label"].astype(str)
    labels = model.labels + sorted(set(truths) - set(model.labels))
    index = {label: code for code, label in enumerate(labels)}
    truth = np.array([index[label] for label in truths], dtype=np.int64)
    probabilities = predict(model, labelled)
    answers = probabilities.argmax(1).astype(np.int64)
    slices = [
        {
            "by": by,
            "value": value,
            "n": int(here.sum()),
            "accuracy": float((truth[here] == answers[here]).mean()),
            "macro_f1": macro_f1(truth[here], answers[here], len(labels)),
        }
        for by, value, here in _slices(labelled)
    ]
    return Evaluation(labels, truth, probabilities, slices, seed)


def predict(model: TextClassifier, frame: pd.DataFrame) -> NDArray[np.float32]:
    """Calibrated probabilities of a frame's rows, shape [rows, classes], a batch at a time."""
    wanted = ["title", "description", *(spec.name for spec in model.feature_specs)]
    records: list[dict[Any, Any]] = frame[[name for name in wanted if name in frame.columns]].to_dict("records")
    if not records:
        return np.zeros((0, len(model.labels)), dtype=np.float32)
    return np.concatenate(
        [model.predict_proba(records[start : start + _BATCH]) for start in range(0, len(records), _BATCH)]
    )


def _slices(frame: pd.DataFrame) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """Each slice that has rows: by what, which value, where."""
    keys: dict[str, pd.Series] = {}
    for column in ("board", "language"):
        if column in frame.columns:
            keys[column] = frame[column].fillna("none").astype(str)
    if "company" in frame.columns:
        keys["has_company"] = frame["company"].notna().map({True: "yes", False: "no"})
    if SEEN_BEFORE in frame.columns:
        keys["near_duplicate"] = frame[SEEN_BEFORE].astype(bool).map({True: "seen before", False: "novel"})
    texts = frame["description"].fillna("").astype(str)
    keys["description_words"] = texts.map(lambda text: _length_name(len(text.split())))
    for by, values in keys.items():
        for value in sorted(values.unique()):
            yield by, str(value), (values == value).to_numpy()


def _length_name(words: int) -> str:
    for low, high in _LENGTHS:
        if high is None or words < high:
            return f"{low} or more" if high is None else f"{low} to {high - 1}"
    raise AssertionError("the last bucket is open")
