"""Files that are locked for as long as a process writes to them.

The lock (`flock`) ends with the process, however it ends: a file that can be locked is complete, also after
`kill -9`.
"""

from __future__ import annotations

import errno
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from plumbline.locks import lock_file

_OPENING = ".opening"
_OPENING_SECONDS = 60.0
"""Opening takes microseconds: a file that is opening for this long has lost its process."""


def create_locked(directory: Path, suffix: str, content: bytes = b"", *, flags: int = 0) -> tuple[int, Path]:
    """Makes a file whose name begins with the instant, writes to it and locks it.

    Raises:
        OSError: The disk has no room, or the folder cannot be written to. Nothing is left behind.
    """
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:12]}{suffix}"
    opening = directory / f"{name}{_OPENING}"
    handle = os.open(opening, os.O_CREAT | os.O_EXCL | os.O_WRONLY | flags, 0o644)
    try:
        _write_whole(handle, content)
        lock_file(handle)
        # Under its own name only once it is locked: a shipper would take an unlocked file for a complete one.
        opening.rename(directory / name)
    except BaseException:
        os.close(handle)
        opening.unlink(missing_ok=True)
        raise
    return handle, directory / name


def _write_whole(handle: int, content: bytes) -> None:
    if os.write(handle, content) != len(content):
        raise OSError(errno.ENOSPC, f"no room for {len(content)} bytes")


@contextmanager
def taken(path: Path) -> Iterator[BinaryIO | None]:
    """The file, locked for the caller; None if it is being written to, held by somebody else, or gone."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        yield None
        return
    with os.fdopen(handle, "rb") as file:
        if not lock_file(handle, wait=False):
            yield None
            return
        # No name any more: another shipper moved it between our listing and our lock.
        yield None if os.fstat(file.fileno()).st_nlink == 0 else file


def sweep_opening(directory: Path) -> None:
    """Removes what processes left that were killed while they opened a file; nothing was ever written to it."""
    for path in directory.glob(f"*{_OPENING}"):
        try:
            if time.time() - path.stat().st_mtime > _OPENING_SECONDS:
                path.unlink()
        except FileNotFoundError:
            continue  # another replica swept it
