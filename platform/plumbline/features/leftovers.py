"""Takes away what a killed process has left under temporary names."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

_OLD_SECONDS = 3_600.0
"""Younger ones may belong to a process that is at work."""


def sweep(folder: Path, pattern: str) -> None:
    """Removes files and folders that match and were last changed more than an hour ago."""
    for path in folder.glob(pattern):
        try:
            if time.time() - path.stat().st_mtime < _OLD_SECONDS:
                continue
        except FileNotFoundError:  # its owner has just finished
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
