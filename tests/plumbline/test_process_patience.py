"""Waiting ends when nothing moves any more, and not before."""

from __future__ import annotations

import subprocess
import sys

import psutil
import pytest

from plumbline.process import patience
from plumbline.process.patience import WORKING_SHARE, Patience, processor_seconds


class Clock:
    """A clock that a test moves, in place of the monotonic one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(patience.time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_silence_ends_the_wait(clock: Clock) -> None:
    waiting = Patience(60)
    clock.now = 60.0
    assert not waiting.lost()
    clock.now = 60.1
    assert waiting.lost()


def test_a_sign_starts_it_anew(clock: Clock) -> None:
    seen = ["queued"]
    waiting = Patience(60, sign=lambda: tuple(seen))
    for step in range(100):
        clock.now += 50
        seen.append(f"step {step}")
        assert not waiting.lost()
    clock.now += 61
    assert waiting.lost()


def test_work_counts_however_slow_the_machine_makes_it(clock: Clock) -> None:
    used = [0.0]
    waiting = Patience(60, work=lambda: used[0])
    for _ in range(1000):  # a thirtieth of a core, for most of a day
        clock.now += 30
        used[0] += 1.0
        assert not waiting.lost()


def test_what_only_keeps_time_does_not_work(clock: Clock) -> None:
    used = [0.0]
    waiting = Patience(60, work=lambda: used[0])
    for _ in range(60):
        clock.now += 1
        used[0] += WORKING_SHARE / 2
        assert not waiting.lost()
    clock.now += 1
    assert waiting.lost()


def test_processes_that_end_are_progress(clock: Clock) -> None:
    used = [100.0]
    waiting = Patience(60, work=lambda: used[0])
    clock.now = 59.0
    used[0] = 3.0
    assert not waiting.lost()
    assert waiting.silent_seconds == 0.0


def test_processor_time_of_processes() -> None:
    line = "import time\nwhile time.process_time() < 0.3: pass\nprint('done', flush=True)\ninput()"
    with subprocess.Popen([sys.executable, "-c", line], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        process = psutil.Process(child.pid)
        assert processor_seconds([process]) >= 0.29
        child.communicate(b"\n")
    assert processor_seconds([process]) == 0.0
