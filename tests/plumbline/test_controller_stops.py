"""Stops and crashes of the controller, at each step of a retraining: which of them cost a try, and what is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from controller_process import ControllerProcess, free_port, gone, until

from plumbline.controller.state import open_state
from plumbline.process.children import held_line
from plumbline.registry.audit import AuditLog
from plumbline.settings import Settings

Start = Callable[..., ControllerProcess]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    port = free_port()
    started: list[ControllerProcess] = []

    def run(**settings: str) -> ControllerProcess:
        started.append(ControllerProcess(tmp_path, port, **settings))
        return started[-1]

    yield run
    for controller in started:
        if controller.process.poll() is None:
            controller.process.kill()
        controller.process.wait()


def _events(settings: Settings) -> list[str]:
    return [event["what"] for event in open_state(settings).events()]


@pytest.mark.parametrize("step", ["features", "training"])
def test_orderly_stops_cost_no_try_however_many_there_are(
    settings: Settings, tmp_path: Path, start: Start, step: str
) -> None:
    (tmp_path / step).touch()
    for count, stop in enumerate((signal.SIGTERM, signal.SIGINT, signal.SIGTERM)):
        controller = start()
        if not count:
            controller.alert()
        child = controller.wait_for_step(step)
        assert controller.retraining()["attempts"] == 1
        assert controller.end(stop) == 0
        assert gone(child)
        (left,) = open_state(settings).retrainings()
        assert (left.state, left.attempts, left.child_pid) == ("queued", 0, None)
    (tmp_path / step).unlink()
    last = start()
    until(lambda: last.retraining()["state"] == "promoted")
    assert last.retraining()["attempts"] == 1
    assert _events(settings).count("retraining_interrupted") == 3


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_an_impatient_second_signal_changes_nothing(
    settings: Settings, tmp_path: Path, start: Start, stop: signal.Signals
) -> None:
    (tmp_path / "training").touch()
    controller = start()
    controller.alert()
    child = controller.wait_for_step("training")
    for _ in range(3):
        controller.process.send_signal(stop)
    assert controller.process.wait() == 0
    assert gone(child)
    (left,) = open_state(settings).retrainings()
    assert (left.state, left.attempts) == ("queued", 0)


def test_a_stop_of_all_processes_at_once_costs_no_try(settings: Settings, tmp_path: Path, start: Start) -> None:
    # As systemd does: the command is told before the controller.
    (tmp_path / "training").touch()
    controller = start(MAX_ATTEMPTS="1")
    controller.alert()
    child = controller.wait_for_step("training")
    os.kill(child, signal.SIGTERM)
    until(lambda: gone(child))
    assert controller.end(signal.SIGTERM) == 0
    (left,) = open_state(settings).retrainings()
    assert (left.state, left.attempts) == ("queued", 0)


def test_a_kill_in_the_middle_of_an_orderly_stop_costs_no_try(settings: Settings, tmp_path: Path, start: Start) -> None:
    (tmp_path / "training").touch()
    (tmp_path / "stubborn").touch()
    controller = start(MAX_ATTEMPTS="1")
    controller.alert()
    child = controller.wait_for_step("training")
    controller.process.send_signal(signal.SIGTERM)
    until(lambda: _events(settings)[-1] == "retraining_interrupted")
    controller.end(signal.SIGKILL)
    assert not gone(child)
    (tmp_path / "stubborn").unlink()
    (tmp_path / "training").unlink()
    again = start(MAX_ATTEMPTS="1")
    until(lambda: again.retraining()["state"] == "promoted")
    assert gone(child)


@pytest.mark.parametrize("step", ["features", "training"])
def test_a_retraining_that_kills_its_controller_comes_to_an_end(
    settings: Settings, tmp_path: Path, start: Start, step: str
) -> None:
    (tmp_path / step).touch()
    orphans = []
    for tries in (1, 2):
        controller = start(MAX_ATTEMPTS="2")
        if tries == 1:
            controller.alert()
        orphans.append(controller.wait_for_step(step))
        assert controller.retraining()["attempts"] == tries
        controller.end(signal.SIGKILL)
    last = start(MAX_ATTEMPTS="2")
    assert all(map(gone, orphans))
    failed = last.retraining()
    assert failed["state"] == "failed"
    assert f"killed during the step '{step}'" in failed["error"]
    assert "controller retry 1" in AuditLog(settings).read()[-1].why


def test_a_process_that_the_state_does_not_know_does_nothing(tmp_path: Path) -> None:
    done = tmp_path / "done"
    line = [sys.executable, "-c", f"import pathlib; pathlib.Path({str(done)!r}).touch()"]
    waiting = held_line(line)
    # Its controller is killed before it has written down whom it has started: the pipe ends.
    assert subprocess.run(waiting, stdin=subprocess.DEVNULL, check=False).returncode == 0
    assert not done.exists()
    assert subprocess.run(waiting, input=b"1", check=False).returncode == 0
    assert done.exists()
