"""Measures parity on a snapshot and keeps what was found where training reads it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pandas as pd

from plumbline import __version__
from plumbline.errors import MissingInputError
from plumbline.features.definition import definition_of
from plumbline.features.parity import check_parity
from plumbline.features.parity_record import ParityRecord, keep_parity, parity_key
from plumbline.features.parity_report import ParityReport
from plumbline.features.plan import resolve
from plumbline.features.store import open_feature_store
from plumbline.features.views import built_views
from plumbline.settings import Settings


@dataclass(frozen=True)
class Measured:
    """A measurement: what was found, and what of it is kept."""

    report: ParityReport
    record: ParityRecord


def measure_parity(
    settings: Settings, postings: pd.DataFrame, *, snapshot_id: str, command: str, pairs: int | None, seed: int
) -> Measured:
    """Compares offline and online features of a snapshot, and records the outcome, whatever it is.

    Args:
        settings: Store, service, number of instants, tolerance.
        postings: The snapshot's posting log.
        snapshot_id: Its whole id.
        command: What measures, for the record.
        pairs: (entity, time) pairs to compare; None takes the settings' number.
        seed: Of the draw.

    Raises:
        MissingInputError: Nothing has been applied, or the views were built from another snapshot.
        DependencyError: A store did not answer.
    """
    built = built_views(settings)
    if built.snapshot_id != snapshot_id:
        raise MissingInputError(
            f"The views were built from snapshot {built.snapshot_id[:12]}, so nothing can be told about "
            f"{snapshot_id[:12]}. Run `plumbline features refresh --snapshot {snapshot_id[:12]}` first."
        )
    plan = resolve(settings, open_feature_store(settings))
    report = check_parity(settings, postings, pairs=pairs, seed=seed)
    now, service, definition = datetime.now(UTC), plan.service.name, definition_of(settings, plan)
    counts = report.model_dump(include={"checked", "matched", "served", "expired", "missing", "share"})
    record = ParityRecord(
        key=parity_key(snapshot_id, service, definition, now),
        snapshot_id=snapshot_id,
        service=service,
        definition=definition,
        measured_at=now,
        command=command,
        version=__version__,
        seed=seed,
        views_until=built.until,
        served_until=next((each.at for each in report.instants if each.store == "serving"), None),
        **counts,
    )
    keep_parity(settings, record)
    return Measured(report, record)
