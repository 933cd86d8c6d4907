"""Request bodies: real postings of a snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import orjson
import pandas as pd
from numpy.typing import NDArray

from plumbline.data.contract import REQUEST_COLUMNS
from plumbline.data.frames import to_table
from plumbline.data.snapshot import SnapshotStore
from plumbline.errors import MissingInputError
from plumbline.settings import Settings
from plumbline.storage import open_store

_MOST_BATCHES = 1000
"""Distinct bodies of the batch route, which are sent again after the last: they take memory."""


def postings_of(settings: Settings, snapshot: str, *, since: datetime | None) -> pd.DataFrame:
    """Postings of a snapshot.

    Args:
        settings: Names the object store.
        snapshot: Id, unique prefix, or `latest`.
        since: Only postings published at or after this instant.

    Raises:
        MissingInputError: There is no such snapshot, or no posting since then.
    """
    frame = SnapshotStore(open_store(settings)).read(snapshot)
    if since is not None:
        frame = frame[frame["event_timestamp"] >= since]
    if frame.empty:
        raise MissingInputError(f"Snapshot {snapshot} holds no posting since {since}. Choose an earlier --since.")
    return frame


def encode(postings: pd.DataFrame) -> list[bytes]:
    """JSON of each posting as the contract's request has it; absent values are left out."""
    rows = to_table(postings).select(list(REQUEST_COLUMNS)).to_pylist()
    return [orjson.dumps({name: value for name, value in row.items() if value is not None}) for row in rows]


def sample_bodies(
    postings: pd.DataFrame, *, count: int, batch: int | None, seed: int
) -> tuple[list[bytes], NDArray[np.int64]]:
    """Draws bodies for `count` requests, postings with replacement.

    Args:
        postings: To draw from.
        count: Requests.
        batch: Postings per body of the batch route; None: bodies of single postings.
        seed: Of the draw.

    Returns:
        The distinct bodies, and which of them each request sends.
    """
    wanted = count if batch is None else min(count, _MOST_BATCHES) * batch
    drawn = np.random.default_rng(seed).integers(0, len(postings), wanted)
    distinct, places = np.unique(drawn, return_inverse=True)
    singles = encode(postings.iloc[distinct])
    if batch is None:
        return singles, places
    rows = places.reshape(-1, batch)
    return [join_batch([singles[place] for place in row]) for row in rows], np.arange(count) % len(rows)


def join_batch(singles: Sequence[bytes]) -> bytes:
    """Body of the batch route, from bodies of single postings."""
    return b'{"postings":[' + b",".join(singles) + b"]}"
