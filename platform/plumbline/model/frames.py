"""What every trainer makes of the frames that it is given: classes, codes, texts, records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from plumbline.errors import UserError
from plumbline.features.schema import FeatureSpec
from plumbline.model.calibrate import fit_sharpness, log_loss
from plumbline.model.metrics import macro_f1

Codes = NDArray[np.int64]

_LEAST_CLASSES: Final = 2


@dataclass(frozen=True)
class TrainingFrames:
    """Training rows, calibration rows and label terms (rows with a title and no description)."""

    labels: list[str]
    """Classes of the training rows, ascending."""

    parts: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]

    codes: tuple[Codes, Codes, Codes]
    """Places in `labels`, of each part's rows."""

    @classmethod
    def read(
        cls, train: pd.DataFrame, calibration: pd.DataFrame, label_terms: pd.DataFrame | None, *, term_weight: float
    ) -> TrainingFrames:
        """Leaves out calibration rows and terms of classes that no training row has: those cannot be learnt.

        Raises:
            UserError: There are no rows, or fewer than two classes.
        """
        labels = sorted({str(label) for label in train["label"]})
        if len(labels) < _LEAST_CLASSES:
            raise UserError(
                f"Training needs rows of two classes at least; there are {len(train)} rows of {len(labels)} classes. "
                "Choose a later instant, or a smaller evaluation window."
            )
        index = {label: code for code, label in enumerate(labels)}
        known = calibration[calibration["label"].astype(str).isin(index)]
        parts = (train, known, _known_terms(label_terms, index, term_weight))
        first, second, third = (
            np.array([index[str(label)] for label in part["label"]], dtype=np.int64) for part in parts
        )
        return cls(labels, parts, (first, second, third))

    def facts(self) -> dict[str, Any]:
        """What a model's metadata say of its rows."""
        train, calibration, terms = self.parts
        return {
            "rows": {"train": len(train), "calibration": len(calibration), "terms": len(terms)},
            "train_until": _last(train),
            "calibration_until": _last(calibration),
        }


def texts(frame: pd.DataFrame, column: str) -> list[str]:
    """A column's texts; what is missing is empty."""
    return frame[column].fillna("").astype(str).tolist()


def feature_records(frame: pd.DataFrame, specs: Sequence[FeatureSpec]) -> list[dict[str, Any]]:
    """The feature values of each row; features that are no columns are left out."""
    columns = [spec.name for spec in specs if spec.name in frame.columns]
    # A frame without columns would lose its rows here.
    records: list[dict[Any, Any]] = frame[columns].to_dict("records") if columns else [{} for _ in range(len(frame))]
    return records


def watched(scores: NDArray[np.float32], truth: Codes) -> dict[str, Any]:
    """Figures of an epoch on the calibration rows, `scores` being of shape [rows, classes]."""
    answers = scores.argmax(1)
    return {
        "accuracy": float((answers == truth).mean()),
        "macro_f1": macro_f1(truth, answers, scores.shape[1]),
        "log_loss": log_loss(scores, truth, fit_sharpness(scores, truth)),
    }


def _known_terms(label_terms: pd.DataFrame | None, index: dict[str, int], weight: float) -> pd.DataFrame:
    empty = pd.DataFrame({"title": [], "description": [], "label": []}, dtype=object)
    if label_terms is None or not weight:
        return empty
    known = label_terms[label_terms["label"].astype(str).isin(index)]
    return (
        pd.DataFrame(
            {"title": known["text"].astype(str).to_numpy(), "description": "", "label": known["label"].to_numpy()}
        )
        if len(known)
        else empty
    )


def _last(frame: pd.DataFrame) -> str | None:
    if "event_timestamp" not in frame.columns or frame.empty:
        return None
    return str(pd.Timestamp(frame["event_timestamp"].max()).isoformat())
