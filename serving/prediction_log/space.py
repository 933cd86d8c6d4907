"""How much room the spool has left, and what share of the records is kept when it shrinks."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

from serving.prediction_log.segments import spool_size

_MOST_HALVINGS = 10


@dataclass(frozen=True)
class Space:
    """Bytes of the spool.

    Attributes:
        used: What it holds.
        room: What it may still take; 0 or less is none.
    """

    used: int
    room: int

    @property
    def share(self) -> float:
        """Share of the records that is kept: 1, 1/2, 1/4 ... 1/1024, 0.

        All of them until half of what the spool can hold is used; from there on half as many each time the room
        left has halved again. Each step so lasts as long as the first, and the room is not used up before ten of
        them; a writer that keeps everything would use it up after one.
        """
        if self.room <= 0:
            return 0.0
        if self.used <= self.room:
            return 1.0
        zone = (self.used + self.room) / 2
        halvings = math.floor(math.log2(zone / self.room)) + 1
        return float(2.0 ** -min(halvings, _MOST_HALVINGS))


def measure(directory: Path, *, max_spool_bytes: int, min_free_bytes: int) -> Space:
    """Room of the spool now: what the setting allows, or what the disk has if that is less.

    Raises:
        OSError: The folder is gone.
    """
    _, used = spool_size(directory)
    disk = os.statvfs(directory)
    free = disk.f_bavail * disk.f_frsize
    return Space(used, min(max_spool_bytes - used, free - min_free_bytes))
