"""What a person sees while the line runs: what runs, how long it took, what came out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console


class Step:
    """One step under way; says what came out of it."""

    def __init__(self) -> None:
        self.outcome = ""

    def came_out(self, text: str) -> None:
        """Sets the sentence that is shown when the step is done."""
        self.outcome = text


class Progress:
    """Prints steps to standard error, and keeps their durations."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._start = time.monotonic()
        self.seconds: dict[str, float] = {}

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._start

    def heading(self, text: str) -> None:
        """Announces a part of the story."""
        self._console.print(f"[bold]{text}[/bold]", soft_wrap=True)

    def say(self, text: str) -> None:
        """Prints a line."""
        self._console.print(text, soft_wrap=True)

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Shows `name` while the block runs, then its seconds and outcome."""
        step = Step()
        begin = time.monotonic()
        if self._console.is_terminal:
            with self._console.status(f"  {name} ..."):
                yield step
        else:
            self._console.print(f"  {name} ...", soft_wrap=True)
            yield step
        seconds = time.monotonic() - begin
        self.seconds[name] = round(self.seconds.get(name, 0.0) + seconds, 2)
        self._console.print(f"  [green]✓[/green] {name} [dim]{seconds:.1f} s[/dim]  {step.outcome}", soft_wrap=True)
