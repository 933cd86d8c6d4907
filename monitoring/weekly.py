"""Accuracy week by week, for several model versions on the same postings."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from monitoring.columns import WEEK, cluster_codes, week_numbers
from monitoring.scoring import FeatureBuild, add_features, predict
from monitoring.window import Window
from plumbline.data.snapshot import SnapshotStore
from plumbline.errors import MissingInputError
from plumbline.settings import Settings
from plumbline.storage import open_store

_RESAMPLES = 400
_SEED = 11
_LEVEL = 0.95


def weekly_accuracy(settings: Settings, *, snapshot: str, window: Window, models: list[str]) -> list[dict[str, Any]]:
    """Scores every labelled posting of the window by each version; labels are those that are finally known.

    Args:
        settings: Where models, postings and features are.
        snapshot: Postings.
        window: Which of them; weeks are counted from its start.
        models: Versions or aliases.

    Returns:
        A row per week and version: `week` (its start), `model_version`, `n`, `accuracy`, `macro_f1`,
        `accuracy_interval`, `macro_f1_interval` (95%, by resampling employers).

    Raises:
        MissingInputError: There is no such model or snapshot, or no labelled posting in the window.
    """
    from plumbline.registry.models import ModelRegistry

    snapshots = SnapshotStore(open_store(settings))
    snapshot_id = snapshots.resolve(snapshot)
    postings = snapshots.read(snapshot_id)
    chosen = postings[window.holds(postings["event_timestamp"]) & postings["label"].notna()].reset_index(drop=True)
    if chosen.empty:
        raise MissingInputError(f"There is no labelled posting in {window}. Choose another window or snapshot.")
    build = FeatureBuild(settings, snapshot=snapshot_id, until=window.end)
    registry = ModelRegistry(settings)
    loaded = [registry.fetch(model) for model in models]
    build.wait()
    featured = add_features(settings, chosen)
    weeks = week_numbers(chosen["event_timestamp"], window.start)
    clusters = cluster_codes(chosen, weeks)
    truth = chosen["label"].astype(str).to_numpy()
    rows = []
    for version in loaded:
        answers = predict(version.path, featured)[0].astype(str)
        for week in np.unique(weeks):
            inside = weeks == week
            figures = figures_of(truth[inside], answers[inside], clusters[inside])
            begin = window.start + timedelta(seconds=int(week) * WEEK.total_seconds())
            rows.append({"week": begin.isoformat(), "model_version": version.version, **figures})
    return sorted(rows, key=lambda row: (row["week"], int(row["model_version"])))


def figures_of(truth: np.ndarray, answers: np.ndarray, clusters: np.ndarray) -> dict[str, Any]:
    """Accuracy and macro-F1 with intervals by the percentile bootstrap over clusters (Efron and Tibshirani 1993).

    Args:
        truth: Labels, shape (rows,).
        answers: What the model said, shape (rows,).
        clusters: Postings that are not independent of each other share a number; shape (rows,).
    """
    labels, codes = np.unique(np.concatenate([truth, answers]), return_inverse=True)
    true_codes, answer_codes = codes[: len(truth)], codes[len(truth) :]
    members = pd.factorize(clusters)[0]
    random = np.random.default_rng(_SEED)
    count = int(members.max()) + 1
    drawn = random.multinomial(count, np.full(count, 1 / count), size=_RESAMPLES)
    weights = np.concatenate([np.ones((1, len(truth))), drawn[:, members].astype(float)])
    right = (true_codes == answer_codes).astype(float)
    accuracy = weights @ right / weights.sum(axis=1)
    macro = _macro_f1(weights, true_codes, answer_codes, len(labels))
    tails = [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2]
    return {
        "n": len(truth),
        "accuracy": float(accuracy[0]),
        "accuracy_interval": [float(value) for value in np.quantile(accuracy[1:], tails)],
        "macro_f1": float(macro[0]),
        "macro_f1_interval": [float(value) for value in np.quantile(macro[1:], tails)],
    }


def _macro_f1(weights: np.ndarray, truth: np.ndarray, answers: np.ndarray, labels: int) -> np.ndarray:
    """Mean F1 over the labels that occur in the truth, under each weighting; shape (weightings,)."""
    true = np.eye(labels)[truth]
    said = np.eye(labels)[answers]
    hits = weights @ (true * said)
    occurring, answered = weights @ true, weights @ said
    with np.errstate(divide="ignore", invalid="ignore"):
        f1 = np.where(occurring > 0, 2 * hits / (occurring + answered), np.nan)
    return np.asarray(np.nanmean(f1, axis=1))
