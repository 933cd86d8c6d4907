"""Reads what KFP's local runner prints: which step runs, how long it took, and why it failed."""

from __future__ import annotations

import inspect
import io
import re
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from plumbline import errors
from plumbline.errors import DiskFullError, PlumblineError

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_STARTS = re.compile(r" - INFO - Executing task '(?P<name>[^']+)'")
_ENDS = re.compile(r" - INFO - Task '(?P<name>[^']+)' finished with status SUCCESS")
_OWN_ERROR = re.compile(r"^\s*plumbline\.errors\.(?P<kind>\w+): (?P<text>.*)")
_NO_SPACE = re.compile(r"^\s*OSError: \[Errno (28|122)\]")
_KINDS = {name: kind for name, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, PlumblineError)}
_INDENT = "    "  # what KFP puts before each line of a step
_KEPT_LINES = 40
_SHOWN_LINES = 8


class RunLog(io.TextIOBase):
    """Takes the place of standard output while a pipeline runs: everything goes to the run's log file.

    Attributes:
        seconds: Duration of each step that has ended well.
    """

    def __init__(self, file: TextIO, *, on_start: Callable[[str], None], on_end: Callable[[str, float], None]) -> None:
        self.seconds: dict[str, float] = {}
        self._file = file
        self._on_start = on_start
        self._on_end = on_end
        self._step: str | None = None
        self._started = time.monotonic()
        self._tail: deque[str] = deque(maxlen=_KEPT_LINES)
        self._partial = ""
        self._in_report = False

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, text: str, /) -> int:
        """Keeps the text, and looks at each line that is whole."""
        plain = _COLOUR.sub("", text)
        self._file.write(plain)
        *lines, self._partial = (self._partial + plain).split("\n")
        for line in lines:
            self._look_at(line)
        return len(text)

    def flush(self) -> None:
        """Writes through, so that the log can be followed."""
        self._file.flush()

    def failure(self, log: Path) -> PlumblineError:
        """The error of the step that failed: of its own kind when it is one of Plumbline's."""
        step = self._step or "?"
        for position, line in enumerate(reversed(self._tail)):
            own = _OWN_ERROR.match(line)
            if own is not None:
                rest = list(self._tail)[len(self._tail) - position :]
                sentence = " ".join([own["text"], *(more.strip() for more in rest)]).strip()
                return _KINDS.get(own["kind"], PlumblineError)(f"Step {step}: {sentence}")
            if _NO_SPACE.match(line):
                return DiskFullError(
                    f"Step {step}: no room left on the disk. Free some space, or point PLUMBLINE_HOME to a larger one."
                )
        if self._tail and self._tail[-1].strip() == "Killed":
            return PlumblineError(
                f"Step {step} was killed, perhaps for want of memory; `plumbline doctor` says what there is. See {log}."
            )
        shown = "\n".join(list(self._tail)[-_SHOWN_LINES:])
        return PlumblineError(f"Step {step} failed; its last lines ({log}):\n{shown}")

    def _look_at(self, line: str) -> None:
        if started := _STARTS.search(line):
            self._step = started["name"]
            self._started = time.monotonic()
            self._tail.clear()
            self._on_start(self._step)
        elif ended := _ENDS.search(line):
            took = round(time.monotonic() - self._started, 2)
            self.seconds[ended["name"]] = took
            self._on_end(ended["name"], took)
        elif line.startswith(_INDENT):
            self._keep(line.removeprefix(_INDENT))

    def _keep(self, line: str) -> None:
        """Keeps a line of the step's own, without the executor's reports about itself."""
        if self._in_report:
            self._in_report = line != "}"
        elif "[KFP Executor" in line:
            self._in_report = line.endswith("Got executor_input:")
        elif line.strip():
            self._tail.append(line)
