"""What a schedule runs: definitions, views and online store brought up to the newest snapshot."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from plumbline.features.collected import Collected
from plumbline.settings import Settings

if TYPE_CHECKING:
    from plumbline.features.parity_report import ParityReport


def refresh(
    settings: Settings,
    collected: Collected,
    *,
    as_of: datetime,
    measure: bool,
    step: Callable[[str], AbstractContextManager[object]],
) -> tuple[dict[str, Any], ParityReport | None]:
    """Applies, builds the views for the whole snapshot, and brings the online store to what they say at `as_of`.

    No training set: `prepare` joins one. It may be killed and run again; readers of the online store
    keep the last good rows meanwhile.

    Args:
        settings: Where everything lies.
        collected: The snapshot's posting log.
        as_of: The instant that serving is to stand at.
        measure: Compare both paths afterwards, and record what was found.
        step: Shows a step's name and time.

    Returns:
        What came out, and the parity report, or None.
    """
    from plumbline.features.materialize import materialize
    from plumbline.features.repo import feature_repo

    repo = feature_repo(settings)
    with step("Apply definitions"):
        applied = repo.apply(settings)
    with step("Build views"):
        built = repo.build_views(settings, collected.postings, snapshot_id=collected.snapshot_id)
    with step("Materialise the online store"):
        done = materialize(settings, as_of)
    result: dict[str, Any] = {
        "snapshot_id": collected.snapshot_id,
        "future_postings_ignored": collected.ignored,
        "applied": applied,
        "views": {"rows": built.rows, "until": built.until.isoformat(), "grid_hours": built.grid_hours},
        "materialized_until": done.end.isoformat(),
        "online_rows": done.counts,
    }
    if not measure:
        return result, None
    from plumbline.features.measure import measure_parity

    with step("Compare offline and online"):
        measured = measure_parity(
            settings,
            collected.postings,
            snapshot_id=collected.snapshot_id,
            command="plumbline features refresh --measure",
            pairs=None,
            seed=0,
        )
    shown = measured.report.model_dump(include={"checked", "matched", "share", "served", "expired", "missing"})
    return {**result, "parity": {**shown, "record": measured.record.key}}, measured.report
