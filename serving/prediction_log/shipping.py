"""Ships complete segments to the object store as Parquet, each under a key made from its name.

Shipping a segment twice, after a crash between upload and removal, writes the same object again.
"""

from __future__ import annotations

import fcntl
import io
import os
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from plumbline.settings import Settings
from plumbline.storage import ObjectStore, open_store
from serving.prediction_log.record import to_table
from serving.prediction_log.segments import parse_segment, spool_dir
from serving.prediction_log.spool import SEGMENT_SUFFIX

OBJECT_PREFIX = "predictions/"


@dataclass(frozen=True)
class Shipped:
    """What one round of shipping moved."""

    segments: int
    rows: int


def ship(settings: Settings) -> Shipped:
    """Moves every complete segment of the spool to the object store.

    Segments that a living process writes to, or that another shipper holds, are left alone.

    Raises:
        DependencyError: The object store did not take a segment; it stays in the spool.
        DiskFullError: The folder store's disk has no room; the segment stays in the spool.
    """
    store = open_store(settings)
    segments = rows = 0
    for path in sorted(spool_dir(settings).glob(f"*{SEGMENT_SUFFIX}")):
        moved = _ship_segment(path, store)
        if moved is not None:
            segments += 1
            rows += moved
    return Shipped(segments, rows)


def _ship_segment(path: Path, store: ObjectStore) -> int | None:
    """Rows moved, or None if the segment is not ours to move."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    with os.fdopen(handle, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        if os.fstat(file.fileno()).st_nlink == 0:  # another shipper moved it between our listing and our lock
            return None
        records = parse_segment(file.read(), path.name)
        if records:
            store.put(object_key(path.name), _parquet(records))
        path.unlink()
    return len(records)


def object_key(segment: str) -> str:
    """`20260101T120000-ab12.jsonl` lies under `predictions/2026/01/01/12/20260101T120000-ab12.parquet`."""
    stem = segment.removesuffix(SEGMENT_SUFFIX)
    return f"{OBJECT_PREFIX}{stem[:4]}/{stem[4:6]}/{stem[6:8]}/{stem[9:11]}/{stem}.parquet"


def _parquet(records: list[dict[str, object]]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(to_table(records), buffer, compression="zstd")
    return buffer.getvalue()
