"""From a snapshot to features that training and serving may use, in one process: importing Feast costs seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pandas as pd

from plumbline.features.collected import Collected
from plumbline.settings import Settings

if TYPE_CHECKING:
    from plumbline.features.parity_report import ParityReport

Step = Callable[[str], AbstractContextManager[object]]


COMMAND = "plumbline features prepare"
"""Names it in the record of parity."""


def prepare(
    settings: Settings, collected: Collected, *, as_of: datetime, pairs: int | None, seed: int, step: Step
) -> tuple[dict[str, Any], ParityReport]:
    """Applies, builds, materialises up to `as_of`, joins the training set of `as_of`, and compares both paths.

    The views are built for the whole snapshot, beyond `as_of` too: a row holds only what was known at its own time,
    and a join never takes a row later than the posting, so that later rows cannot reach an earlier posting; monitors
    need them for the weeks after `as_of`. The online store and the training set end at `as_of`.

    Args:
        settings: Where everything lies.
        collected: The snapshot's posting log.
        as_of: The instant that training and serving stand at.
        pairs: (entity, time) pairs to compare; None takes the settings' number.
        seed: Of the pairs' draw.
        step: Shows a step's name and time.

    Returns:
        What came out of each step, and `seconds` by step; and the parity report, which is in it, too. Parity is
        recorded whatever it is.
    """
    from plumbline.features.materialize import materialize
    from plumbline.features.measure import measure_parity
    from plumbline.features.offline import training_set
    from plumbline.features.repo import feature_repo

    repo = feature_repo(settings)
    snapshot_id, postings = collected.snapshot_id, collected.postings
    seconds: dict[str, float] = {}

    @contextmanager
    def timed(name: str, text: str) -> Iterator[None]:
        start = time.monotonic()
        with step(text):
            yield
        seconds[name] = round(time.monotonic() - start, 3)

    with timed("apply", "Apply definitions"):
        applied = repo.apply(settings)
    with timed("build", "Build views"):
        built = repo.build_views(settings, postings, snapshot_id=snapshot_id)
    with timed("materialize", "Materialise the online store"):
        materialized = materialize(settings, as_of)
    with timed("training_set", "Join the training set"):
        training = training_set(settings, postings, as_of)
    with timed("parity", "Compare offline and online"):
        measured = measure_parity(settings, postings, snapshot_id=snapshot_id, command=COMMAND, pairs=pairs, seed=seed)
    result = {
        "snapshot_id": snapshot_id,
        "future_postings_ignored": collected.ignored,
        "as_of": as_of.isoformat(),
        "applied": applied,
        "views": {"rows": built.rows, "until": built.until.isoformat(), "grid_hours": built.grid_hours},
        "materialized_until": materialized.end.isoformat(),
        "online_rows": materialized.counts,
        "training_set": describe(training),
        "parity": {**measured.report.model_dump(mode="json"), "record": measured.record.key},
        "seconds": {**seconds, "total": round(sum(seconds.values()), 3)},
    }
    return result, measured.report


def describe(training: pd.DataFrame) -> dict[str, Any]:
    """Size of a training set."""
    return {
        "rows": len(training),
        "labelled": int(training["label"].notna().sum()),
        "classes": int(training["label"].nunique()),
    }
