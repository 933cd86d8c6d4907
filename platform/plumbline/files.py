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
