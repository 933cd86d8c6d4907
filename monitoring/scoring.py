"""Answers of a model version for postings, with the features of each posting's own time."""

from __future__ import annotations

import os
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from plumbline.errors import DependencyError, MissingInputError, PlumblineError
from plumbline.features.views import built_views
from plumbline.process.children import plumbline_line
from plumbline.settings import Settings


class FeatureBuild:
    """Brings the feature views up to an instant in a process of its own, while this one does something else.

    A window lies after the training period, and the views may not: without this every feature of its postings
    would have expired, which no live system would see. Rows up to the earlier end stay as they are.
    """

    def __init__(self, settings: Settings, *, snapshot: str, until: datetime) -> None:
        self._process: subprocess.Popen[str] | None = None
        try:
            built = built_views(settings)
        except MissingInputError:
            built = None
        if built is not None and built.snapshot_id == snapshot and built.until >= until:
            return
        line = ["features", "build", "--snapshot", snapshot, "--as-of", until.isoformat(), "--json"]
        self._process = subprocess.Popen(
            plumbline_line(*line),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PLUMBLINE_HOME": str(settings.home)},
        )

    def wait(self) -> None:
        """Waits until the views are built.

        Raises:
            DependencyError: They could not be built.
        """
        if self._process is None:
            return
        _, said = self._process.communicate()
        if self._process.returncode != 0:
            lines = said.strip().splitlines()
            raise DependencyError(f"The feature views could not be built: {lines[-1] if lines else 'no reason given'}")


def add_features(settings: Settings, postings: pd.DataFrame) -> pd.DataFrame:
    """The postings with the features of their own time, in their order."""
    from plumbline.features.offline import historical_features

    return historical_features(settings, postings)


def predict(model_path: Path, frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Answers of the model in a folder.

    Args:
        model_path: Folder of the model.
        frame: Postings with features.

    Returns:
        Labels (rows,) and their probabilities (rows,).

    Raises:
        PlumblineError: The model answered another number of rows.
    """
    from plumbline.model.protocol import load_model

    model = load_model(model_path)
    if frame.empty:
        return np.empty(0, dtype=object), np.empty(0)
    columns = ["title", "description", *(spec.name for spec in model.feature_specs if spec.name in frame)]
    plain = frame[columns].astype(object).where(frame[columns].notna(), None)
    records: list[Any] = plain.to_dict("records")
    probabilities = np.asarray(model.predict_proba(records))
    if len(probabilities) != len(frame):
        raise PlumblineError(f"The model answered {len(probabilities)} of {len(frame)} postings.")
    best = probabilities.argmax(axis=1)
    return np.asarray(model.labels, dtype=object)[best], probabilities[np.arange(len(best)), best]
