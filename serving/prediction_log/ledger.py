"""Counts the records that are left out, where a killed process and a full disk do not lose the counts.

The file has all its bytes from the start. Counting overwrites them in place, which needs no room; and what is
written is in the page cache, which outlives the process.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import orjson
import pyarrow as pa

from serving.prediction_log.locked_files import create_locked
from serving.prediction_log.record import TIME

Reason = Literal["policy", "spool_full", "write_failed"]
REASONS: tuple[Reason, ...] = ("policy", "spool_full", "write_failed")
"""`policy`: not in the sample of `serving.log.sample_rate`; `spool_full`: the room is scarce or used up;
`write_failed`: the disk did not take it."""

LEDGER_SUFFIX = ".left-out"
_BYTES = 1024

LEFT_OUT_SCHEMA = pa.schema(
    [
        ("ledger", pa.string()),
        ("reason", pa.string()),
        ("count", pa.int64()),
        ("since", TIME),
        ("until", TIME),
        ("least_share", pa.float64()),
    ]
)
"""Columns of shipped ledgers: `count` records were left out, the first at `since`, the last at `until`."""


@dataclass
class _Row:
    reason: Reason
    count: int
    since: datetime
    until: datetime
    least_share: float


class Ledger:
    """Counts by reason; thread-safe. Whoever owns it calls `maintain` from time to time.

    Args:
        directory: Folder of the spool; it must be there.
        seconds: A ledger that holds something is closed, to be shipped, at this age.

    Raises:
        OSError: The disk has no room for the file.
    """

    def __init__(self, directory: Path, *, seconds: float) -> None:
        self._directory = directory
        self._seconds = seconds
        self._lock = threading.Lock()
        self.totals: dict[Reason, int] = dict.fromkeys(REASONS, 0)
        self._open()

    def add(self, reason: Reason, count: int, *, share: float) -> None:
        """Counts records that are left out now.

        Args:
            reason: Why.
            count: How many.
            share: Share of all records that is kept meanwhile.
        """
        now = datetime.now(UTC)
        with self._lock:
            self.totals[reason] += count
            row = self._rows.setdefault(reason, _Row(reason, 0, now, now, share))
            row.count += count
            row.until = now
            row.least_share = min(row.least_share, share)
            os.pwrite(self._handle, _content(self._rows), 0)

    def maintain(self) -> None:
        """Closes a ledger that holds something and is old enough, and opens the next one.

        Raises:
            OSError: The disk has no room for the next one; this one goes on counting.
        """
        if self._rows and time.monotonic() - self._opened >= self._seconds:
            with self._lock:
                finished = self._handle
                self._open()
            os.close(finished)

    def close(self) -> None:
        """Releases the ledger."""
        with self._lock:
            os.close(self._handle)

    def _open(self) -> None:
        self._handle, _ = create_locked(self._directory, LEDGER_SUFFIX, _content({}))
        self._opened = time.monotonic()
        self._rows: dict[Reason, _Row] = {}


def parse_ledger(content: bytes, name: str) -> list[dict[str, Any]]:
    """Rows of a ledger's file, in `LEFT_OUT_SCHEMA`.

    Raises:
        ValueError: The content is not that of a ledger.
    """
    try:
        return [
            {
                **row,
                "ledger": name.removesuffix(LEDGER_SUFFIX),
                "since": datetime.fromisoformat(row["since"]),
                "until": datetime.fromisoformat(row["until"]),
            }
            for row in orjson.loads(content)
        ]
    except (TypeError, KeyError) as error:
        raise ValueError(f"{name} is not a ledger: {error}") from error


def ledger_table(rows: list[dict[str, Any]]) -> pa.Table:
    """Rows of `parse_ledger` as a table."""
    return pa.Table.from_pylist(rows, schema=LEFT_OUT_SCHEMA)


def _content(rows: dict[Reason, _Row]) -> bytes:
    return orjson.dumps(list(rows.values())).ljust(_BYTES - 1) + b"\n"
