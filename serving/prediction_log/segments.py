"""Reads the segments of the spool."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import orjson

from plumbline import paths
from plumbline.settings import Settings

_log = logging.getLogger(__name__)


def spool_dir(settings: Settings) -> Path:
    """Folder of the segments that are not shipped yet."""
    return paths.prediction_log_dir(settings) / "spool"


def parse_segment(content: bytes, name: str) -> list[dict[str, Any]]:
    """The records of a segment.

    A line that a killed process or a full disk cut short is left out: its answer was never sent.
    """
    records = []
    for line in content.split(b"\n"):
        if not line:
            continue
        try:
            records.append(orjson.loads(line))
        except orjson.JSONDecodeError:
            _log.warning("%s: left out a line that was cut short (%d bytes).", name, len(line))
    return records
