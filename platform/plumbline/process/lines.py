"""What a command says, as a sign of whether it gets on."""

from __future__ import annotations

import re
from pathlib import Path

_CLOCK = re.compile(r"\.\.\. \d+ s\b")
"""A line that is shown every now and then while something runs, `Materialise ... 38 s`: it tells the time, and comes
whether anything happens or not."""


class Lines:
    """Lines that tell something new: another than the last one, the time aside.

    Attributes:
        told: How many there were.
        last: The last one.
    """

    def __init__(self) -> None:
        self.told = 0
        self.last = ""

    def add(self, line: str) -> None:
        """Takes a line."""
        said = _CLOCK.sub("...", line).strip()
        if said and said != self.last:
            self.told += 1
            self.last = said


class LogLines(Lines):
    """Those of a file that grows.

    Args:
        path: It may not be there yet.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._read = 0

    def look(self) -> int:
        """Reads on; returns how many lines have told something new so far."""
        if self._path.is_file():
            with self._path.open("rb") as file:
                file.seek(self._read)
                whole, end, _ = file.read().rpartition(b"\n")
            self._read += len(whole) + len(end)
            for line in whole.decode("utf-8", "replace").splitlines():
                self.add(line)
        return self.told
