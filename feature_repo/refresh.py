"""What a schedule runs: definitions, views and online store brought up to the newest snapshot."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

import pandas as pd

from plumbline.settings import Settings


def refresh(
    settings: Settings,
    postings: pd.DataFrame,
    *,
    snapshot_id: str,
    as_of: datetime,
    step: Callable[[str], AbstractContextManager[object]],
) -> dict[str, Any]:
    """Applies, builds the views for the whole snapshot, and materialises up to `as_of`.

    No training set and no parity: `prepare` does those. It may be killed and run again; readers of the online store
    keep the last good rows meanwhile.

    Args:
        settings: Where everything lies.
        postings: The snapshot's posting log.
        snapshot_id: Its name, for the record.
        as_of: The instant that serving is to stand at.
        step: Shows a step's name and time.
    """
    from feature_repo.build import build_views
    from feature_repo.definitions import apply
    from plumbline.features.materialize import materialize

    with step("Apply definitions"):
        applied = apply(settings)
    with step("Build views"):
        built = build_views(settings, postings, snapshot_id=snapshot_id)
    with step("Materialise the online store"):
        done = materialize(settings, as_of)
    return {
        "snapshot_id": snapshot_id,
        "applied": applied,
        "views": {"rows": built.rows, "until": built.until.isoformat(), "grid_hours": built.grid_hours},
        "materialized_from": done.start.isoformat(),
        "materialized_until": done.end.isoformat(),
    }
