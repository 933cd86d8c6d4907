"""Request bodies: real postings of a snapshot."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import orjson

from plumbline.data.contract import REQUEST_COLUMNS
from plumbline.data.frames import to_table
from plumbline.data.snapshot import SnapshotStore
from plumbline.errors import MissingInputError
from plumbline.settings import Settings
from plumbline.storage import open_store


def sample_bodies(settings: Settings, snapshot: str, *, count: int, since: datetime | None, seed: int) -> list[bytes]:
    """JSON bodies of `count` postings, drawn with replacement.

    Args:
        settings: Names the object store.
        snapshot: Id, unique prefix, or `latest`.
        count: How many.
        since: Only postings published at or after this instant.
        seed: Of the draw.

    Raises:
        MissingInputError: There is no such snapshot, or no posting since then.
    """
    frame = SnapshotStore(open_store(settings)).read(snapshot)
    if since is not None:
        frame = frame[frame["event_timestamp"] >= since]
    if frame.empty:
        raise MissingInputError(f"Snapshot {snapshot} holds no posting since {since}. Choose an earlier --since.")
    chosen = np.random.default_rng(seed).integers(0, len(frame), count)
    distinct, places = np.unique(chosen, return_inverse=True)
    rows = to_table(frame.iloc[distinct]).select(list(REQUEST_COLUMNS)).to_pylist()
    bodies = [orjson.dumps({name: value for name, value in row.items() if value is not None}) for row in rows]
    return [bodies[place] for place in places]
