"""Retrains by running the same commands that a person would, as child processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from plumbline.controller.trainer import (
    Attempt,
    Child,
    Outcome,
    ReleaseStep,
    StoppedError,
    outcome_of,
    prepare_arguments,
    training_arguments,
)
from plumbline.errors import PlumblineError
from plumbline.settings import Settings

_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.1
_TAIL_LINES = 5


class CommandTrainer:
    """Runs `plumbline ...` commands with this process's Python and environment."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stopping = threading.Event()

    @property
    def resumes(self) -> bool:
        """See `Trainer.resumes`: a child process is ended with the controller."""
        return False

    def prepare(self, snapshot: str, as_of: datetime, *, attempt: Attempt) -> None:
        """See `Trainer.prepare`."""
        self._run(*prepare_arguments(self._settings, snapshot, as_of), attempt=attempt)

    def train(self, snapshot: str, as_of: datetime, *, reason: str, promote: bool, attempt: Attempt) -> Outcome:
        """See `Trainer.train`."""
        words = training_arguments(self._settings, snapshot, as_of, reason=reason, promote=promote, key=attempt.name)
        return outcome_of(self._run(*words, attempt=attempt))

    def promote(self, version: str, reason: str, *, attempt: Attempt) -> None:
        """See `Trainer.promote`."""
        self._run("models", "promote", version, "--reason", reason, attempt=attempt)

    def release(self, version: str, reason: str, *, attempt: Attempt) -> ReleaseStep:
        """See `Trainer.release`."""
        known = self._run("release", "status", "--version", version, attempt=attempt)["release"]
        if known is None:
            known = self._run("release", "start", version, "--reason", reason, attempt=attempt)
            return ReleaseStep("running", "The canary was started.", known)
        if known["state"] != "running":
            return ReleaseStep(known["state"], str(known["why"] or "It is the champion."), known)
        verdict = self._run("release", "judge", "--apply", attempt=attempt)
        return ReleaseStep(verdict["state"], verdict["why"], verdict)

    def stop(self) -> None:
        """See `Trainer.stop`."""
        self._stopping.set()

    def _run(self, *arguments: str, attempt: Attempt) -> dict[str, Any]:
        log = attempt.log
        line = [sys.executable, "-m", "plumbline", *arguments, "--json"]
        log.parent.mkdir(parents=True, exist_ok=True)
        answer_file = log.with_suffix(".stdout")
        with log.open("ab") as errors, answer_file.open("wb") as answers:
            errors.write(f"$ plumbline {' '.join(arguments)} --json\n".encode())
            errors.flush()
            process = subprocess.Popen(
                line,
                stdin=subprocess.DEVNULL,
                stdout=answers,
                stderr=errors,
                env={**os.environ, "PLUMBLINE_HOME": str(self._settings.home)},
                start_new_session=True,  # its whole group can be ended, and a Ctrl-C does not reach it before us
            )
            attempt.on_start(Child(process.pid, psutil.Process(process.pid).create_time()))
            try:
                self._wait(process, arguments)
            finally:
                end_group(process.pid)
        if process.returncode != 0:
            raise PlumblineError(_said(arguments, process.returncode, log))
        return _read_answer(arguments, answer_file)

    def _wait(self, process: subprocess.Popen[bytes], arguments: tuple[str, ...]) -> None:
        timeout = self._settings.controller.training_timeout_seconds
        deadline = time.monotonic() + timeout
        while process.poll() is None:
            if self._stopping.wait(_POLL_SECONDS):
                end_group(process.pid)
                process.wait()
                raise StoppedError(f"`plumbline {' '.join(arguments[:3])}` was stopped with the controller.")
            if time.monotonic() > deadline:
                end_group(process.pid)
                process.wait()
                raise PlumblineError(
                    f"`plumbline {' '.join(arguments[:3])}` did not end within {timeout:.0f} s and was stopped. "
                    "PLUMBLINE_CONTROLLER__TRAINING_TIMEOUT_SECONDS gives it longer."
                )


def end_group(leader: int) -> None:
    """Ends every process of a group: politely, then by force. A group that is gone is left at that."""
    members = _members(leader)
    for number, wait in ((signal.SIGTERM, _STOP_SECONDS), (signal.SIGKILL, _STOP_SECONDS)):
        if not members:
            return
        try:
            os.killpg(leader, number)
        except ProcessLookupError:
            return
        psutil.wait_procs(members, timeout=wait)
        members = _members(leader)


def end_child(child: Child) -> bool:
    """Ends a process that an earlier controller started, with its group, if it still runs.

    Returns:
        Whether there was one to end.
    """
    try:
        process = psutil.Process(child.pid)
        same = abs(process.create_time() - child.started) < 1.0
    except psutil.NoSuchProcess:
        same = False
    # The leader may be gone while others of its group live on; a group's number is not given to a new process
    # as long as the group has members.
    if not same and not (not psutil.pid_exists(child.pid) and _members(child.pid)):
        return False
    end_group(child.pid)
    return True


def _members(leader: int) -> list[psutil.Process]:
    members = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                members.append(process)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue  # ended between the listing and the question
    return members


def _said(arguments: tuple[str, ...], code: int, log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    sentences = [line.removeprefix("plumbline: ") for line in lines if line.startswith("plumbline: ")]
    said = sentences[-1] if sentences else " / ".join(lines[-_TAIL_LINES:])
    return f"`plumbline {' '.join(arguments[:3])}` ended with exit code {code}: {said} (log: {log})"


def _read_answer(arguments: tuple[str, ...], path: Path) -> dict[str, Any]:
    try:
        answer = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise PlumblineError(f"`plumbline {' '.join(arguments[:3])}` printed no JSON; see {path}.") from error
    if not isinstance(answer, dict):
        raise PlumblineError(f"`plumbline {' '.join(arguments[:3])}` printed no JSON object; see {path}.")
    return answer
