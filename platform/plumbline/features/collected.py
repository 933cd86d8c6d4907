"""What of a snapshot may count: postings that lie in the future of their collection may not.

A posting cannot have happened after it was collected. One that says so has a wrong date, and must not move what every
other posting's features are computed up to. A generated stream is what somebody asked for, and may lie anywhere.
"""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from plumbline.data.known import known_at
from plumbline.data.snapshot import Snapshot, SnapshotStore
from plumbline.errors import ContractError
from plumbline.instants import parse_instant
from plumbline.settings import Settings
from plumbline.storage import open_store

_log = logging.getLogger(__name__)

TOLERANCE = timedelta(days=2)
"""A date without a time of day, or a clock in another zone or a wrong one, may be that much ahead."""

_GENERATED = "generator"


@dataclass(frozen=True)
class Collected:
    """The postings of a snapshot that may count."""

    snapshot_id: str
    postings: pd.DataFrame
    """In the order of time; labels that arrive later than the snapshot was collected are empty."""

    ignored: int
    """Postings that are left out."""


def collected_until(snapshot: Snapshot) -> datetime | None:
    """The latest instant that an event of the snapshot can have; None where its times are made up.

    It was collected when its source says so (`collected`, ISO 8601), else by the time that it was last written.
    """
    source = snapshot.source
    if source.get("kind") == _GENERATED or source.get("made_up_time"):
        return None
    stated = source.get("collected")
    at = snapshot.written_at if stated is None else max(snapshot.written_at, parse_instant(stated))
    return at + max(TOLERANCE, timedelta(days=source.get("future_tolerance_days", 0)))


def read_collected(settings: Settings, snapshot: str) -> Collected:
    """Reads a snapshot, and says on the log what of it is left out.

    Args:
        settings: Where snapshots lie.
        snapshot: Id, the beginning of one, or `latest`.

    Raises:
        MissingInputError: There is no such snapshot.
        ContractError: Every posting is later than its collection.
    """
    snapshots = SnapshotStore(open_store(settings))
    described = snapshots.get(snapshot)
    postings = snapshots.read(described.id)
    limit = collected_until(described)
    if limit is None:
        return Collected(described.id, postings, 0)
    known = known_at(postings, limit)
    ignored = len(postings) - len(known)
    if known.empty:
        raise ContractError(
            f"Every posting of snapshot {described.id[:12]} is later than its collection at "
            f"{described.written_at.isoformat()}. Check the dates, the mapping and this machine's clock; ingest again."
        )
    if ignored:
        _tell(described.id, ignored, described.written_at, described.last_event)
    return Collected(described.id, known, ignored)


@functools.cache
def _tell(snapshot_id: str, ignored: int, collected: datetime, last: datetime) -> None:
    """Once per process and snapshot."""
    _log.warning(
        "Snapshot %s holds %s later than its collection at %s, the last of %s: left out of every feature. "
        "Correct the dates where they come from, and ingest again.",
        snapshot_id[:12],
        "1 posting that is" if ignored == 1 else f"{ignored:,} postings that are",
        collected.isoformat(timespec="seconds"),
        last.isoformat(timespec="seconds"),
    )


def newest_event(settings: Settings, snapshot: str) -> datetime:
    """Time of the newest posting that may count.

    Raises:
        MissingInputError: There is no such snapshot.
        ContractError: Every posting is later than its collection.
    """
    described = SnapshotStore(open_store(settings)).get(snapshot)
    limit = collected_until(described)
    if limit is None or described.last_event < limit:
        return described.last_event
    newest: datetime = read_collected(settings, described.id).postings["event_timestamp"].max().to_pydatetime()
    return newest
