"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

INCOMING = ".incoming-"
"""Begins the names of files that are still being written; a killed process leaves them behind."""

_KEPT_OF_NAME = 60


def nearest_existing(path: Path) -> Path:
    """The path itself, or else the first above it that is there, as far as that can be seen."""
    return next((each for each in (path, *path.parents) if _is_there(each)), Path(path.anchor))


def _is_there(path: Path) -> bool:
    try:
        path.stat()
    except OSError:  # `exists` would raise some: a name that is too long, a folder that is closed to us
        return False
    return True


@contextmanager
def atomic_write(target: Path, *, durable: bool = False) -> Iterator[Path]:
    """Gives a new path in the target's folder to write to, and renames it to the target after the block.

    Readers see the old file or the new one. When the block fails, nothing is left behind.

    Args:
        target: The file to write or replace; its folder must be there.
        durable: Whether the content is on the disk before the rename, so that a power failure keeps one of the two.
    """
    # The end of the name stays: writers tell formats by it.
    path = target.with_name(f"{INCOMING}{uuid.uuid4().hex[:12]}-{target.name[-_KEPT_OF_NAME:]}")
    try:
        yield path
        if durable:
            with path.open("rb") as file:
                os.fsync(file.fileno())
        path.replace(target)
    finally:
        path.unlink(missing_ok=True)
