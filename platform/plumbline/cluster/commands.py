"""Runs `plumbline` commands as child processes: what they say goes on to our own standard error."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from plumbline.errors import DependencyError, GateRefusedError, IntegrityError, PlumblineError, UserError
from plumbline.process.children import plumbline_line

_ERRORS: dict[int, type[PlumblineError]] = {
    kind.exit_code: kind for kind in (UserError, GateRefusedError, DependencyError, IntegrityError)
}
_SAID = "plumbline: "


@dataclass(frozen=True)
class Finished:
    """What a command came to.

    Attributes:
        exit_code: The child's; 128 + N where signal N ended it.
        answer: The object that it printed with `--json`; None where it printed none.
        error: The sentence that it ended with, else its last line; None after success.
    """

    exit_code: int
    answer: dict[str, Any] | None
    error: str | None


def run_command(arguments: Sequence[str], *, on_line: Callable[[str], None] = lambda _: None) -> Finished:
    """Runs `plumbline ARGUMENTS --json`; a SIGTERM that reaches us is handed on to it.

    Args:
        arguments: What follows `plumbline`.
        on_line: Called with each line of what it says meanwhile.
    """
    words = list(arguments) if "--json" in arguments else [*arguments, "--json"]
    last = said = ""
    with (
        subprocess.Popen(
            plumbline_line(*words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, "COLUMNS": os.environ.get("COLUMNS", "160")},
        ) as process,
        _handed_on(process),
    ):
        output = _Reader(process.stdout)
        for line in process.stderr or ():
            sys.stderr.write(line)
            sys.stderr.flush()
            on_line(line)
            last = line.strip() or last
            if line.startswith(_SAID):
                said = line.removeprefix(_SAID).strip()
        code = process.wait()
        text = output.text()
    exit_code = 128 - code if code < 0 else code
    return Finished(exit_code, _object(text), None if exit_code == 0 else said or last or f"exit code {exit_code}")


def answer_of(arguments: Sequence[str]) -> dict[str, Any]:
    """Runs a command and returns its answer.

    Raises:
        PlumblineError: It failed; the error is of the kind that its exit code stands for.
    """
    done = run_command(arguments)
    if done.exit_code != 0:
        kind = _ERRORS.get(done.exit_code, PlumblineError)
        raise kind(done.error if kind is not PlumblineError else f"`plumbline {' '.join(arguments[:3])}`: {done.error}")
    if done.answer is None:
        raise PlumblineError(f"`plumbline {' '.join(arguments[:3])}` printed no JSON object.")
    return done.answer


class _Reader:
    """Takes in the child's answer beside its messages: a full pipe would stop it."""

    def __init__(self, stream: Any) -> None:
        import threading

        self._parts: list[str] = []
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream: Any) -> None:
        self._parts.append(stream.read())

    def text(self) -> str:
        self._thread.join()
        return "".join(self._parts)


def _object(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


@contextmanager
def _handed_on(process: subprocess.Popen[str]) -> Iterator[None]:
    """As a container's first process we get the signal alone: the child must have it, too."""

    def hand_on(number: int, _frame: FrameType | None) -> None:
        process.send_signal(number)

    before = {number: signal.signal(number, hand_on) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
