"""Append-only segments of the prediction log on this machine.

One `write` per batch, before its answers are released: once a client has its answer, the record is in the page
cache, which outlives a killed process. What a power failure can lose is bounded by the sync period.
"""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from plumbline.system import sync_data
from serving.prediction_log.locked_files import create_locked, sweep_opening
from serving.prediction_log.segments import SEGMENT_SUFFIX


class _Segment:
    """An open, locked file."""

    def __init__(self, directory: Path) -> None:
        self.handle, _ = create_locked(directory, SEGMENT_SUFFIX, flags=os.O_APPEND)
        self.opened = time.monotonic()
        self.hour = _hour()
        self.size = 0
        self.synced_size = 0

    def sync(self) -> None:
        if self.synced_size != self.size:
            size = self.size
            sync_data(self.handle)
            self.synced_size = size

    def close(self) -> None:
        try:
            self.sync()
        finally:
            os.close(self.handle)  # releases the lock


class SpoolWriter:
    """Writes to segments; thread-safe. Whoever owns it calls `maintain` from time to time, off the request path.

    Args:
        directory: Folder of the spool, made if it is not there.
        segment_bytes: A segment is closed at this size.
        segment_seconds: A segment that holds something is closed at this age.

    Raises:
        OSError: The folder cannot be written to.
    """

    def __init__(self, directory: Path, *, segment_bytes: int, segment_seconds: float) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        sweep_opening(directory)
        self._directory = directory
        self._segment_bytes = segment_bytes
        self._segment_seconds = segment_seconds
        self._lock = threading.Lock()
        self._segment = _Segment(directory)
        self._torn = False

    def append(self, content: bytes) -> bool:
        """Writes whole lines; on return they are with the operating system. It opens, syncs and closes nothing.

        Returns:
            Whether the segment is full: call `maintain` soon.

        Raises:
            OSError: The disk did not take them; none of them is in the log.
        """
        with self._lock:
            segment = self._segment
            # Closes the line that a failed write left open, so that it cannot spoil the next one.
            view = memoryview(b"\n" + content if self._torn else content)
            before = segment.size
            try:
                while view:
                    written = os.write(segment.handle, view)
                    segment.size += written
                    view = view[written:]
            except OSError:
                self._take_back(segment, before)
                raise
            self._torn = False
            return segment.size >= self._segment_bytes

    def maintain(self) -> None:
        """Forces to the disk what was written; closes a segment that is due and opens its successor.

        Raises:
            OSError: The disk did not take it. Nothing is lost; call it again.
        """
        if self._due():
            successor = _Segment(self._directory)
            with self._lock:
                finished, self._segment = self._segment, successor
                self._torn = False
            finished.close()
        else:
            self._segment.sync()

    def close(self) -> None:
        """Forces everything to the disk and releases the segment."""
        with self._lock:
            self._segment.close()

    def _take_back(self, segment: _Segment, size: int) -> None:
        """A part of a batch would be records whose answers were never sent."""
        try:
            os.ftruncate(segment.handle, size)
            segment.size = size
        except OSError:
            self._torn = True  # the disk is in a bad way; `append` closes the line once it takes writes again

    def _due(self) -> bool:
        segment = self._segment
        old = time.monotonic() - segment.opened >= self._segment_seconds or segment.hour != _hour()
        return segment.size >= self._segment_bytes or (old and segment.size > 0)


def _hour() -> int:
    """Hours since the epoch: a segment that ends with its hour makes one object."""
    return int(datetime.now(UTC).timestamp() // 3600)
