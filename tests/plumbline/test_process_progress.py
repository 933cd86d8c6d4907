"""What is shown while something runs, on a terminal and in a log."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import subprocess
import sys
import time

import pytest
from rich.console import Console

from plumbline.process import progress
from plumbline.process.children import plumbline_line
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


_COMMAND = """
import sys, time
from plumbline.cli.output import print_text, progress_console, sign_of_life, step
with sign_of_life("plumbline models card"):
    time.sleep(float(sys.argv[1]))
    print_text("# Card")
    with step("Inside"):
        time.sleep(2.2)
"""


@pytest.mark.parametrize(("seconds", "seen"), [("0", False), ("3", True)])
@pytest.mark.parametrize("terminal", [False, True])
def test_a_command_that_says_nothing_for_long_is_shown_by_its_name(seconds: str, seen: bool, terminal: bool) -> None:
    reading, writing = pty.openpty() if terminal else os.pipe()
    line = [sys.executable, "-c", _COMMAND, seconds]
    with os.fdopen(reading, "rb", buffering=0) as progress_of:
        done = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=writing, text=True)
        os.close(writing)
        said = b""
        with contextlib.suppress(OSError):  # how the end of a terminal is told
            while part := progress_of.read(4096):
                said += part
        result, _ = done.communicate()
    assert result == "# Card\n", "standard output holds the result alone"
    assert (b"plumbline models card ... 2 s" in said) is seen
    assert b"Inside ... 2 s" in said
    assert said.rstrip().endswith(b" s")


def test_any_command_has_a_sign_of_life() -> None:
    """Of those that show nothing of their own: one that waits for an endpoint that is not there."""
    line = plumbline_line("serve", "ask", "--url", "http://127.0.0.1:9", "--timeout", "4")
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert "plumbline serve ask ... 2 s" in done.stderr
