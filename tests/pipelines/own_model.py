"""A user's own model: naive Bayes over the words of the title, in plain numpy and JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from plumbline.features.schema import FeatureSpec
from plumbline.model.protocol import TrainingResult
from plumbline.settings.model import ModelSettings


class TitleBayes:
    """Log probabilities of words per class."""

    def __init__(self, labels: list[str], words: dict[str, list[float]], prior: list[float]) -> None:
        self.labels = labels
        self.feature_specs: list[FeatureSpec] = []
        self.metadata: dict[str, Any] = {"kind": "naive Bayes"}
        self._words = words
        self._prior = prior

    @classmethod
    def load(cls, path: Path) -> Self:
        content = json.loads((path / "config.json").read_text())
        return cls(content["labels"], content["words"], content["prior"])

    def save(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        content = {
            "class_path": "own_model:TitleBayes",
            "labels": self.labels,
            "words": self._words,
            "prior": self._prior,
        }
        (path / "config.json").write_text(json.dumps(content))

    def encode(self, records: Sequence[Mapping[str, Any]]) -> np.ndarray:
        unseen = [0.0] * len(self.labels)
        rows = [
            np.sum([self._prior, *(self._words.get(word, unseen) for word in record["title"].lower().split())], axis=0)
            for record in records
        ]
        return np.stack(rows)

    def forward(self, batch: np.ndarray) -> np.ndarray:
        exponent = np.exp(batch - batch.max(axis=1, keepdims=True))
        return (exponent / exponent.sum(axis=1, keepdims=True)).astype(np.float32)

    def predict_proba(self, records: Sequence[Mapping[str, Any]]) -> np.ndarray:
        return self.forward(self.encode(records))


def train(
    train: pd.DataFrame,
    calibration: pd.DataFrame,
    *,
    feature_specs: Sequence[FeatureSpec],
    label_terms: pd.DataFrame | None,
    config: ModelSettings,
    on_epoch: Callable[[int, dict[str, Any]], None] | None = None,
) -> TrainingResult:
    labels = sorted(set(train["label"]))
    counts = {label: Counter(" ".join(train.loc[train["label"] == label, "title"]).lower().split()) for label in labels}
    vocabulary = set().union(*counts.values())
    totals = {label: sum(counts[label].values()) + len(vocabulary) for label in labels}
    words = {word: [float(np.log((counts[c][word] + 1) / totals[c])) for c in labels] for word in vocabulary}
    prior = [float(np.log((train["label"] == label).mean())) for label in labels]
    return TrainingResult(TitleBayes(labels, words, prior), history=[])
