"""A few postings with what several model versions answer: what a change of the model means, for people to read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from monitoring.scoring import FeatureBuild, add_features, predict
from monitoring.window import Window
from plumbline.data.masking import mask_text
from plumbline.data.snapshot import SnapshotStore
from plumbline.errors import MissingInputError
from plumbline.model.class_names import read_class_names
from plumbline.settings import Settings
from plumbline.storage import open_store

_MOST_ANSWERED = 2_000
_START_CHARACTERS = 320
_HOW = (
    "Drawn at random (seed {seed}) from {answered:,} postings of {window}; those on which the versions disagree come "
    "first, whichever of them is right. Labels are those that are finally known."
)


def sample_answers(
    settings: Settings, *, snapshot: str, window: Window, models: list[str], count: int, seed: int
) -> dict[str, Any]:
    """Lets each version answer the window's postings, and shows some of them.

    A random order decides, with the postings on which the versions disagree in front: no posting is chosen for being
    answered well. How often each version was right where they disagree is counted over all that were answered.

    Args:
        settings: Where models, postings and features are.
        snapshot: Postings.
        window: Which of them; of more than 2,000 a random part is answered.
        models: Versions or aliases.
        count: How many to show.
        seed: Of the order.

    Returns:
        `rows` (`posting_id`, `board`, `title`, `description_start`, `label` or None, and `answers`: per version its
        `label` and `probability`; texts are masked), `postings` (answered ones), `labelled`, `disagree`,
        `right_where_they_disagree` (per version, and `none`), `how` (a sentence), `class_names`.

    Raises:
        MissingInputError: There is no such model or snapshot, or no posting in the window.
    """
    from plumbline.registry.models import ModelRegistry

    snapshots = SnapshotStore(open_store(settings))
    snapshot_id = snapshots.resolve(snapshot)
    postings = snapshots.read(snapshot_id)
    inside = postings[window.holds(postings["event_timestamp"])].reset_index(drop=True)
    if inside.empty:
        raise MissingInputError(f"There is no posting in {window}. Choose another window or snapshot.")
    build = FeatureBuild(settings, snapshot=snapshot_id, until=window.end)
    registry = ModelRegistry(settings)
    loaded = {version.version: version for version in map(registry.fetch, models)}
    build.wait()
    order = np.random.default_rng(seed).permutation(len(inside))[:_MOST_ANSWERED]
    drawn = inside.iloc[order].reset_index(drop=True)
    featured = add_features(settings, drawn)
    answered = {name: predict(version.path, featured) for name, version in loaded.items()}
    labels = np.stack([given[0].astype(str) for given in answered.values()])
    differ = (labels != labels[0]).any(axis=0)
    first = np.argsort(~differ, kind="stable")[:count]
    names: dict[str, str] = {}
    for version in loaded.values():
        names |= read_class_names(version.path)
    return {
        "rows": [_row(drawn.iloc[place], place, answered) for place in first],
        "postings": len(drawn),
        "labelled": int(drawn["label"].notna().sum()),
        "disagree": int(differ.sum()),
        "right_where_they_disagree": _right(drawn["label"], labels, differ, list(loaded)),
        "how": _HOW.format(seed=seed, answered=len(drawn), window=f"{window.start.date()} to {window.end.date()}"),
        "class_names": names,
    }


def _row(posting: pd.Series, place: int, answered: dict[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, Any]:
    return {
        "posting_id": str(posting["posting_id"]),
        "board": str(posting["board"]),
        "title": mask_text(str(posting["title"])),
        "description_start": _start(mask_text(str(posting["description"]))),
        "label": None if pd.isna(posting["label"]) else str(posting["label"]),
        "answers": [
            {"version": version, "label": str(labels[place]), "probability": round(float(probabilities[place]), 4)}
            for version, (labels, probabilities) in answered.items()
        ],
    }


def _start(text: str) -> str:
    """The beginning of a text, cut between words."""
    plain = " ".join(text.split())
    if len(plain) <= _START_CHARACTERS:
        return plain
    return f"{plain[:_START_CHARACTERS].rpartition(' ')[0] or plain[:_START_CHARACTERS]} …"


def _right(truth: pd.Series, labels: np.ndarray, differ: np.ndarray, versions: list[str]) -> dict[str, int]:
    known = truth.notna().to_numpy() & differ
    right = labels[:, known] == truth.to_numpy()[known].astype(str)
    counts = {version: int(right[row].sum()) for row, version in enumerate(versions)}
    return {**counts, "none": int((~right.any(axis=0)).sum())}
