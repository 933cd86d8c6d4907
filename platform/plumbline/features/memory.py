"""Rows of the online store that were read a moment ago."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

Rows = TypeVar("Rows")


class RowMemory(Generic[Rows]):
    """The rows of one kind of entity, each for a few seconds. That there is no row is remembered too.

    Args:
        seconds: How long an entity's rows may serve, from the moment at which they were asked for.
        entities: How many entities are remembered; the one that was asked for longest ago gives way.
    """

    def __init__(self, seconds: float, entities: int) -> None:
        self._seconds = seconds
        self._entities = entities
        self._rows: dict[str, tuple[float, Rows]] = {}
        self._lock = threading.Lock()

    def find(self, keys: Sequence[str], now: float) -> tuple[dict[str, Rows], list[str]]:
        """The rows of each distinct entity that are fresh enough, and the entities for which there are none.

        Args:
            keys: Entities, in any number each.
            now: `time.monotonic()`.
        """
        oldest = now - self._seconds
        found: dict[str, Rows] = {}
        absent: dict[str, None] = {}
        for key in keys:
            if key in found:
                continue
            kept = self._rows.get(key)
            if kept is not None and kept[0] > oldest:
                found[key] = kept[1]
            else:
                absent[key] = None
        return found, list(absent)

    def keep(self, rows: Mapping[str, Rows], asked: float) -> None:
        """Remembers rows that were asked for at `asked` (`time.monotonic()`)."""
        if not self._seconds:
            return
        with self._lock:
            for key, of_key in rows.items():
                self._rows.pop(key, None)  # so that the dictionary's order is that of asking
                self._rows[key] = (asked, of_key)
            while len(self._rows) > self._entities:
                del self._rows[next(iter(self._rows))]
