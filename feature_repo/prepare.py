"""From a snapshot to features that training and serving may use, in one process: importing Feast costs seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import Any

import pandas as pd

from plumbline.settings import Settings

Step = Callable[[str], AbstractContextManager[object]]


def prepare(
    settings: Settings,
    postings: pd.DataFrame,
    *,
    snapshot_id: str,
    as_of: datetime,
    pairs: int | None,
    seed: int,
    step: Step,
) -> dict[str, Any]:
    """Applies, builds, materialises up to `as_of`, joins the training set of `as_of`, and compares both paths.

    The views are built for the whole snapshot, beyond `as_of` too: a row holds only what was known at its own time,
    and a join never takes a row later than the posting, so that later rows cannot reach an earlier posting; monitors
    need them for the weeks after `as_of`. The online store and the training set end at `as_of`.

    Args:
        settings: Where everything lies.
        postings: The snapshot's posting log.
        snapshot_id: Its name, for the record.
        as_of: The instant that training and serving stand at.
        pairs: (entity, time) pairs to compare; None takes the settings' number.
        seed: Of the pairs' draw.
        step: Shows a step's name and time.

    Returns:
        What came out of each step, and `seconds` by step. The parity report is in it whatever it says.
    """
    from feature_repo.build import build_views
    from feature_repo.definitions import apply
    from plumbline.features.materialize import materialize
    from plumbline.features.offline import training_set
    from plumbline.features.parity import check_parity

    seconds: dict[str, float] = {}

    @contextmanager
    def timed(name: str, text: str) -> Iterator[None]:
        start = time.monotonic()
        with step(text):
            yield
        seconds[name] = round(time.monotonic() - start, 3)

    with timed("apply", "Apply definitions"):
        applied = apply(settings)
    with timed("build", "Build views"):
        built = build_views(settings, postings, snapshot_id=snapshot_id)
    with timed("materialize", "Materialise the online store"):
        materialized = materialize(settings, as_of, full=True)
    with timed("training_set", "Join the training set"):
        training = training_set(settings, postings, as_of)
    with timed("parity", "Compare offline and online"):
        parity = check_parity(settings, postings, pairs=pairs, seed=seed)
    return {
        "snapshot_id": snapshot_id,
        "as_of": as_of.isoformat(),
        "applied": applied,
        "views": {"rows": built.rows, "until": built.until.isoformat(), "grid_hours": built.grid_hours},
        "materialized_until": materialized.end.isoformat(),
        "training_set": describe(training),
        "parity": parity.model_dump(mode="json"),
        "seconds": {**seconds, "total": round(sum(seconds.values()), 3)},
    }


def describe(training: pd.DataFrame) -> dict[str, Any]:
    """Size of a training set."""
    return {
        "rows": len(training),
        "labelled": int(training["label"].notna().sum()),
        "classes": int(training["label"].nunique()),
    }
