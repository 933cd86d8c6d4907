"""What is shown while something runs, on a terminal and in a log."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from plumbline.process import progress
from plumbline.process.progress import innermost, shown


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_FIRST_SECONDS", 0.05)
    monkeypatch.setattr(progress, "_PAUSES", (0.05,))
    monkeypatch.setattr(progress, "_LOOK_SECONDS", 0.05)


def _seen(console: Console, text: str) -> bool:
    file = console.file
    assert isinstance(file, io.StringIO)
    deadline = time.monotonic() + 30
    while text not in file.getvalue() and time.monotonic() < deadline:
        time.sleep(0.01)
    return text in file.getvalue()


@pytest.mark.parametrize("terminal", [False, True])
def test_what_runs_and_what_happens_inside(quick: None, terminal: bool) -> None:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100)
    with shown(console, "Training [1/2]", inside=lambda: "epoch 3") as running:
        assert _seen(console, "Training [1/2] ... 0 s  epoch 3")
        running.now("epoch 4")
        assert _seen(console, "epoch 4")


def test_what_is_over_at_once_is_not_announced_in_a_log() -> None:
    console = Console(file=io.StringIO(), force_terminal=False)
    with shown(console, "Quick"):
        pass
    assert console.file.getvalue() == ""  # type: ignore[attr-defined]


def test_an_error_passes_and_the_display_ends(quick: None) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=20)

    def fail() -> None:
        with shown(console, "A text that is longer than the terminal is wide"):
            assert _seen(console, "…")
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        fail()


@pytest.mark.parametrize(
    ("line", "inside"),
    [
        ("Pipeline training ... 90 s  train", "train"),
        ("Compare ... 30 s  Read ... 4 s  200 of 1,000 pairs", "200 of 1,000 pairs"),
        ("Apply definitions ... 2 s", "Apply definitions"),
        ("Read the snapshot: 3.5 s", "Read the snapshot: 3.5 s"),
    ],
)
def test_what_another_process_shows_is_said_once(line: str, inside: str) -> None:
    assert innermost(line) == inside
