"""The segments of the spool: where they lie, what is in them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson

from plumbline import paths
from plumbline.settings import Settings

SEGMENT_SUFFIX = ".jsonl"
_log = logging.getLogger(__name__)


def spool_dir(settings: Settings) -> Path:
    """Folder of the segments that are not shipped yet."""
    return paths.prediction_log_dir(settings) / "spool"


def parse_lines(lines: Iterable[bytes], name: str) -> Iterator[dict[str, Any]]:
    """The records of a segment's lines.

    A line that a killed process or a failing disk cut short is left out: its answer was never sent.

    Raises:
        TypeError: A line is whole JSON and not a record.
    """
    for line in lines:
        if not line.strip():
            continue
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError:
            _log.warning("%s: left out a line that was cut short (%d bytes).", name, len(line))
            continue
        if not isinstance(record, dict):
            raise TypeError(f"{name}: a line is not a record")
        yield record


def spool_size(directory: Path) -> tuple[int, int]:
    """Segments in the spool and their bytes, open ones included."""
    sizes = list(sizes_of(directory).values())
    return len(sizes), sum(sizes)


def sizes_of(directory: Path) -> dict[str, int]:
    """Bytes of each segment in the spool, by its name, oldest first."""
    sizes = {}
    for path in sorted(directory.glob(f"*{SEGMENT_SUFFIX}")):
        try:
            sizes[path.name] = path.stat().st_size
        except FileNotFoundError:
            continue  # shipped while we looked
    return sizes
