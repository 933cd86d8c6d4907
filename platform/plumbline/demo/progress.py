"""What a person sees while the demo runs: what runs, how long it has taken, what came out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

from plumbline.process.progress import shown


class Step:
    """One step under way; says what came out of it."""

    def __init__(self) -> None:
        self.outcome = ""

    def result(self, text: str) -> None:
        """Sets the sentence that is shown when the step is done."""
        self.outcome = text


class Progress:
    """Prints steps to standard error, and keeps their durations.

    Args:
        seconds: Durations of steps that an earlier run has done.
        elapsed: Seconds that it took.
    """

    def __init__(self, seconds: dict[str, float] | None = None, elapsed: float = 0.0) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._start = time.monotonic() - elapsed
        self.seconds: dict[str, float] = dict(seconds or {})

    @property
    def elapsed(self) -> float:
        """Seconds since the run began; those of a run that it resumes count, the pause between them does not."""
        return time.monotonic() - self._start

    def heading(self, text: str) -> None:
        """Announces a stage."""
        self._console.print(f"[bold]{text}[/bold]", soft_wrap=True)

    def print(self, text: str) -> None:
        """Prints a line."""
        self._console.print(text, soft_wrap=True, markup=False)

    @contextmanager
    def step(self, name: str, inside: Callable[[], str] = lambda: "") -> Iterator[Step]:
        """Shows `name` and what happens inside while the block runs, then its seconds and result."""
        step = Step()
        if not self._console.is_terminal:
            self._console.print(f"  {name} ...", soft_wrap=True)
        with shown(self._console, name, inside=inside) as running:
            yield step
        seconds = running.seconds
        self.seconds[name] = round(self.seconds.get(name, 0.0) + seconds, 2)
        self._console.print(f"  [green]✓[/green] {name} [dim]{seconds:.1f} s[/dim]  {step.outcome}", soft_wrap=True)
