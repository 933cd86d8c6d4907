"""Ships complete segments to the object store, as Parquet by the hour of their records.

The keys are made from the segment's name and the records' hours. Shipping a segment twice, after a crash between
upload and removal, writes the same objects again.
"""

from __future__ import annotations

import io
import itertools
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from plumbline.settings import Settings
from plumbline.storage import ObjectStore, open_store
from serving.prediction_log.ledger import LEDGER_SUFFIX, ledger_table, parse_ledger
from serving.prediction_log.locked_files import taken
from serving.prediction_log.record import to_table
from serving.prediction_log.segments import SEGMENT_SUFFIX, parse_lines, spool_dir

OBJECT_PREFIX = "predictions/"
LEFT_OUT_PREFIX = "predictions_left_out/"
_DAMAGED = ".damaged"
_CHUNK = 256
"""Lines that are converted at once. In between, the interpreter is free for whoever answers requests beside us."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shipped:
    """What one round of shipping moved."""

    segments: int
    rows: int
    damaged: int = 0


def ship(settings: Settings, *, spool: Path | None = None) -> Shipped:
    """Moves every complete segment of the spool, and every complete count of left-out records, to the object store.

    What a living process writes to, or another shipper holds, is left alone. A segment whose content cannot be
    understood is set aside under `.damaged`, so that it does not hold up the others.

    Args:
        settings: The object store, and the spool.
        spool: Another folder than this machine's spool, such as a dead pod's.

    Raises:
        DependencyError: The object store did not take a segment; it stays in the spool.
        DiskFullError: The folder store's disk has no room; the segment stays in the spool.
    """
    folder = spool or spool_dir(settings)
    store = open_store(settings)
    segments = rows = damaged = 0
    for path in sorted(folder.glob(f"*{SEGMENT_SUFFIX}")):
        with taken(path) as file:
            if file is None:
                continue
            try:
                tables = _by_hour(file, path.name)
            except (pa.ArrowException, ValueError, TypeError):
                _set_aside(path)
                damaged += 1
                continue
            for hour, table in tables.items():
                store.put(object_key(path.name, hour), _parquet(table))
                rows += len(table)
            path.unlink()
            segments += 1
    for path in sorted(folder.glob(f"*{LEDGER_SUFFIX}")):
        with taken(path) as file:
            if file is not None:
                damaged += not _ship_ledger(path, file.read(), store)
    return Shipped(segments, rows, damaged)


def object_key(segment: str, hour: datetime, prefix: str = OBJECT_PREFIX) -> str:
    """Records of 12 to 13 o'clock lie under `predictions/2026/01/01/12/`, in an object with the segment's name."""
    return f"{prefix}{hour:%Y/%m/%d/%H}/{segment.partition('.')[0]}.parquet"


def _by_hour(file: BinaryIO, name: str) -> dict[datetime, pa.Table]:
    """The segment's records, by the hour in which they were made.

    Raises:
        pyarrow.ArrowException, ValueError, TypeError: The content is not that of a segment.
    """
    tables = list(_chunks(parse_lines(file, name)))
    if not tables:
        return {}
    table = pa.concat_tables(tables)
    if table["time"].null_count or table["request_id"].null_count:
        raise ValueError("a record has no request id or no time")
    hours = pc.floor_temporal(table["time"], unit="hour")
    return {hour.as_py(): table.filter(pc.equal(hours, hour)) for hour in hours.unique()}


def _chunks(lines: Iterator[dict[str, Any]]) -> Iterator[pa.Table]:
    while chunk := list(itertools.islice(lines, _CHUNK)):
        yield to_table(chunk)
        time.sleep(0)


def _ship_ledger(path: Path, content: bytes, store: ObjectStore) -> bool:
    """Whether it could be understood."""
    try:
        rows = parse_ledger(content, path.name)
    except ValueError:
        _set_aside(path)
        return False
    if rows:
        last = max(row["until"] for row in rows).astimezone(UTC)
        store.put(object_key(path.name, last, LEFT_OUT_PREFIX), _parquet(ledger_table(rows)))
    path.unlink()
    return True


def _set_aside(path: Path) -> None:
    aside = path.with_name(path.name + _DAMAGED)
    path.rename(aside)
    _log.exception("A file of the prediction log cannot be understood; it is kept as %s.", aside)


def _parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()
