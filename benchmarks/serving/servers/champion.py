"""The model that every server loads: the champion's own folder, asked by title and description."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from plumbline.model.protocol import TextClassifier, load_model

MODEL_VARIABLE = "BENCH_MODEL_FOLDER"


def champion() -> TextClassifier:
    """The model in the folder that `BENCH_MODEL_FOLDER` names."""
    return load_model(Path(os.environ[MODEL_VARIABLE]))


def classify(model: TextClassifier, postings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Label and probability of each posting; the features that it does not bring take their defaults.

    Args:
        model: The champion.
        postings: `title` and `description` of each.
    """
    probabilities = model.predict_proba(postings)
    labels = model.labels
    best = probabilities.argmax(axis=1).tolist()
    return [
        {"label": labels[place], "probability": float(row[place])}
        for place, row in zip(best, probabilities, strict=True)
    ]
