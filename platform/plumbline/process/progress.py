"""What a person sees while something runs: what it is, for how long it has run, and what happens inside."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner

_LOOK_SECONDS = 0.5
_FIRST_SECONDS = 2.0
_PAUSES = (8.0, 20.0, 30.0)
"""Between lines where there is no terminal: a log wants a sign of life, not a film. The last one repeats."""

_LINE = re.compile(r"(?P<text>.+?) \.\.\. \d+ s(?:  (?P<inside>.+))?")


def innermost(line: str) -> str:
    """What goes on inside, of a line that another process shows of itself; any other line as it is."""
    while match := _LINE.fullmatch(line):
        line = match["inside"] or match["text"]
    return line


class Running:
    """Something under way; whoever does it says what happens inside."""

    def __init__(self, text: str, inside: Callable[[], str]) -> None:
        self.text = text
        self._ask = inside
        self._said = ""
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._start

    def now(self, text: str) -> None:
        """Says what happens inside from now on."""
        self._said = text

    def line(self) -> str:
        """What it is, for how long, and what happens inside."""
        inside = self._said or self._ask()
        return f"{self.text} ... {self.seconds:.0f} s{f'  {inside}' if inside else ''}"


@contextmanager
def shown(
    console: Console, text: str, *, inside: Callable[[], str] = lambda: "", patient: bool = False
) -> Iterator[Running]:
    """Shows what runs while the block does: a line that moves on a terminal, else a line now and then.

    What takes less than two seconds is not announced where there is no terminal.

    Args:
        console: Where to.
        text: What it is.
        inside: Asked for what happens inside, unless the block says so itself.
        patient: Whether nothing is shown on a terminal either in the first two seconds.
    """
    running = Running(text, inside)
    ended = threading.Event()
    show = partial(_moving, patient=patient) if console.is_terminal else _lines
    thread = threading.Thread(target=show, args=(console, running, ended), name="progress", daemon=True)
    thread.start()
    try:
        yield running
    finally:
        ended.set()
        thread.join()


def _moving(console: Console, running: Running, ended: threading.Event, *, patient: bool) -> None:
    if patient and ended.wait(_FIRST_SECONDS):
        return
    spinner = Spinner("dots")
    # Not redirected: results on standard output must not come out where progress does.
    with Live(spinner, console=console, transient=True, redirect_stdout=False, redirect_stderr=False):
        while True:
            spinner.update(text=f"  {_plain(running.line(), console.width - 6)}")
            if ended.wait(_LOOK_SECONDS):
                return


def _lines(console: Console, running: Running, ended: threading.Event) -> None:
    pauses = iter(_PAUSES)
    pause = _FIRST_SECONDS
    while not ended.wait(pause):
        console.print(f"  {running.line()}", soft_wrap=True, markup=False)
        pause = next(pauses, _PAUSES[-1])


def _plain(text: str, width: int) -> str:
    """One line that fits, its brackets not taken for markup."""
    from rich.markup import escape

    return escape(text if len(text) <= width else f"{text[: width - 1]}…")
