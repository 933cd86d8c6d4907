"""Append-only segments of the prediction log on this machine.

One `write` per batch, before its answers are released: once a client has its answer, the record is in the page
cache, which outlives a killed process. What a power failure can lose is bounded by the sync period. A segment is
locked for as long as it is written to; a segment that can be locked is complete, also after `kill -9`.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from serving.errors import UnavailableError

SEGMENT_SUFFIX = ".jsonl"
_log = logging.getLogger(__name__)


class _Segment:
    """An open, locked file."""

    def __init__(self, directory: Path) -> None:
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:12]}{SEGMENT_SUFFIX}"
        opening = directory / f"{name}.opening"
        self.handle = os.open(opening, os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_WRONLY, 0o644)
        fcntl.flock(self.handle, fcntl.LOCK_EX)
        # Under its own name only once it is locked: a shipper would take an unlocked segment for a complete one.
        opening.rename(directory / name)
        self.opened = time.monotonic()
        self.size = 0
        self.synced_size = 0

    def sync(self) -> None:
        if self.synced_size != self.size:
            size = self.size
            os.fdatasync(self.handle)
            self.synced_size = size

    def close(self) -> None:
        self.sync()
        os.close(self.handle)  # releases the lock


class SpoolWriter:
    """Writes records to segments; thread-safe.

    Args:
        directory: Folder of the spool, made if it is not there.
        segment_bytes: A segment is closed at this size.
        segment_seconds: A segment that holds something is closed at this age.
        sync_seconds: How often written records are forced to the disk.
    """

    def __init__(self, directory: Path, *, segment_bytes: int, segment_seconds: float, sync_seconds: float) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._segment_bytes = segment_bytes
        self._segment_seconds = segment_seconds
        self._sync_seconds = sync_seconds
        self._lock = threading.Lock()
        self._segment = _Segment(directory)
        self._torn = False
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._maintain, name="prediction-log", daemon=True)
        self._thread.start()

    def append(self, lines: Sequence[bytes]) -> None:
        """Writes the lines; on return they are with the operating system.

        Raises:
            UnavailableError: The disk did not take them.
        """
        content = b"".join(lines)
        with self._lock:
            if self._closing:
                raise UnavailableError("the prediction log is closed: the endpoint is stopping")
            if self._torn:  # closes the line that a failed write left open, so that it cannot spoil the next one
                content = b"\n" + content
            try:
                self._write(content)
            except OSError as error:
                self._torn = True
                raise UnavailableError(f"the prediction log cannot be written: {error}") from error
            self._torn = False
            full = self._segment.size >= self._segment_bytes
        if full:
            self._wake.set()

    def close(self) -> None:
        """Forces everything to the disk and releases the segment."""
        with self._lock:
            if self._closing:
                return
            self._closing = True
        self._wake.set()
        self._thread.join()
        self._segment.close()

    def _write(self, content: bytes) -> None:
        view = memoryview(content)
        while view:
            written = os.write(self._segment.handle, view)
            self._segment.size += written
            view = view[written:]

    def _maintain(self) -> None:
        """Syncs and rotates off the request path: `append` never opens, syncs or closes a file."""
        while not self._closing:
            self._wake.wait(self._sync_seconds)
            self._wake.clear()
            try:
                if self._due():
                    self._rotate()
                else:
                    self._segment.sync()
            except OSError:
                _log.exception("The prediction log could not be synced or rotated; trying again.")

    def _due(self) -> bool:
        segment = self._segment
        old = time.monotonic() - segment.opened >= self._segment_seconds
        return segment.size >= self._segment_bytes or (old and segment.size > 0)

    def _rotate(self) -> None:
        successor = _Segment(self._directory)
        with self._lock:
            finished, self._segment = self._segment, successor
        finished.close()


def spool_size(directory: Path) -> tuple[int, int]:
    """Segments in the spool and their bytes, open ones included."""
    sizes = [path.stat().st_size for path in directory.glob(f"*{SEGMENT_SUFFIX}")] if directory.is_dir() else []
    return len(sizes), sum(sizes)
