"""Commands as child processes: how long they may take, and how they end."""

from __future__ import annotations

import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from controller_process import gone

from plumbline.controller.process import CommandTrainer
from plumbline.controller.trainer import Attempt, CancelledError, Child, StoppedError
from plumbline.errors import PlumblineError
from plumbline.settings import Settings, load_settings

AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
WORKS = "import time; end = time.process_time() + {seconds}\nwhile time.process_time() < end: pass\nprint('{{}}')"
TALKS = (
    "import sys, time\n"
    "for line in range({seconds} * 4): time.sleep(0.25); print(line, file=sys.stderr, flush=True)\n"
    "print('{{}}')"
)
WAITS = "import time; time.sleep({seconds}); print('{{}}')"


def _run(settings: Settings, folder: Path, program: str, **attempt: Any) -> list[Child]:
    children: list[Child] = []
    it = Attempt("1-1", folder / "log", children.append, **attempt)  # type: ignore[arg-type]
    try:
        CommandTrainer(settings).run_line([sys.executable, "-c", program], ("pipeline", "run", "training"), it)
    finally:
        assert gone(children[0].pid)
    return children


def _patient(settings: Settings, seconds: float) -> Settings:
    return load_settings(home=settings.home, controller={"training_patience_seconds": seconds})


@pytest.mark.parametrize("program", [WORKS, TALKS], ids=["works", "talks"])
def test_a_command_may_take_as_long_as_it_gets_on(settings: Settings, tmp_path: Path, program: str) -> None:
    assert _run(_patient(settings, 2.0), tmp_path, program.format(seconds=6))


def test_one_that_neither_works_nor_talks_is_ended_and_told_what_to_set(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(PlumblineError, match="neither worked nor said anything") as caught:
        _run(_patient(settings, 0.5), tmp_path, WAITS.format(seconds=600))
    assert str(tmp_path / "log") in str(caught.value)
    assert "PLUMBLINE_CONTROLLER__TRAINING_PATIENCE_SECONDS waits longer" in str(caught.value)
    assert _run(_patient(settings, 60), tmp_path, WAITS.format(seconds=3)), "the advice is right"


def test_telling_the_time_is_no_progress(settings: Settings, tmp_path: Path) -> None:
    program = (
        "import sys, time\n"
        "for second in range(0, 6000, 2):\n"
        "    time.sleep(0.2)\n"
        "    print(f'  Train ... {second} s  fit', file=sys.stderr, flush=True)"
    )
    with pytest.raises(PlumblineError, match="nor said anything new"):
        _run(_patient(settings, 1.0), tmp_path, program)
    assert len((tmp_path / "log").read_text().splitlines()) > 3


def test_what_waits_for_a_run_elsewhere_is_left_to_its_own_patience(settings: Settings, tmp_path: Path) -> None:
    program = [sys.executable, "-c", WAITS.format(seconds=3)]
    words = ("pipeline", "submit", "training", "--wait")
    attempt = Attempt("1-1", tmp_path / "log", lambda _: None)
    assert CommandTrainer(_patient(settings, 0.5)).run_line(program, words, attempt) == {}


def test_a_cancelled_command_is_ended(settings: Settings, tmp_path: Path) -> None:
    cancelled = threading.Event()
    threading.Timer(1.0, cancelled.set).start()
    with pytest.raises(CancelledError):
        _run(settings, tmp_path, WAITS.format(seconds=600), cancelled=cancelled.is_set)


def test_a_command_that_fails_gives_its_own_sentence(settings: Settings, tmp_path: Path) -> None:
    trainer = CommandTrainer(settings)
    with pytest.raises(PlumblineError, match=r"exit code 2: .*no snapshot") as caught:
        trainer.prepare("0" * 64, AS_OF, attempt=Attempt("1-1", tmp_path / "log", lambda _: None))
    assert str(tmp_path / "log") in str(caught.value)


def test_a_command_that_is_killed_says_why_that_may_be(settings: Settings, tmp_path: Path) -> None:
    program = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    with pytest.raises(PlumblineError, match=r"exit code -9: it was killed, .* memory runs out"):
        _run(settings, tmp_path, program)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_command_is_ended_when_the_trainer_is_stopped(settings: Settings, tmp_path: Path, when: str) -> None:
    trainer = CommandTrainer(settings)
    children: list[Child] = []
    told: list[bool] = []

    def stop_it(child: Any) -> None:
        children.append(child)
        trainer.stop()

    if when == "before":
        trainer.stop()
    attempt = Attempt(
        "1-1", tmp_path / "log", stop_it, on_stop=lambda: told.append(bool(children) and gone(children[0].pid))
    )
    with pytest.raises(StoppedError):
        trainer.prepare("latest", AS_OF, attempt=attempt)
    assert told == [False], "the state is told before the process is ended"
    assert all(gone(child.pid) for child in children)


def test_a_process_that_cannot_be_written_down_is_ended(settings: Settings, tmp_path: Path) -> None:
    children: list[Child] = []

    def refuse(child: Any) -> None:
        children.append(child)
        raise PlumblineError("The state cannot be used.")

    with pytest.raises(PlumblineError, match="cannot be used"):
        CommandTrainer(settings).prepare("latest", AS_OF, attempt=Attempt("1-1", tmp_path / "log", refuse))
    assert gone(children[0].pid)
