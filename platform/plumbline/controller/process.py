"""Retrains by running the same commands that a person would, as child processes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from plumbline.controller.trainer import (
    Attempt,
    CancelledError,
    Child,
    Job,
    Outcome,
    ReleaseStep,
    StoppedError,
    outcome_of,
    prepare_arguments,
    training_arguments,
    waits_elsewhere,
)
from plumbline.errors import PlumblineError
from plumbline.process.children import held_line, plumbline_line
from plumbline.process.lines import LogLines
from plumbline.process.patience import Patience, processor_seconds
from plumbline.settings import Settings

_STOP_SECONDS = 10.0
"""For a polite end; what is killed after it loses nothing, it is run again whole."""

_POLL_SECONDS = 0.1
_LOOKS_EACH = 10
"""Polls between two looks at the processes and at the state, which cost more."""

_TAIL_LINES = 5
_SIGNALLED_SECONDS = 5.0
_STOPPED_CODES = frozenset({-signal.SIGTERM, -signal.SIGINT, 128 + signal.SIGTERM, 128 + signal.SIGINT})


class CommandTrainer:
    """Runs `plumbline ...` commands with this process's Python and environment."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stopping = threading.Event()

    @property
    def resumes(self) -> bool:
        """See `Trainer.resumes`: a child process is ended with the controller; a run on the KFP API server goes on."""
        return self._settings.pipelines.runner == "kfp"

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

    def reject(self, version: str, reason: str, *, attempt: Attempt) -> None:
        """See `Trainer.reject`."""
        self._run("models", "reject", version, "--reason", reason, attempt=attempt)

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

    def end(self, left: Child | Job) -> None:
        """See `Trainer.end`."""
        if isinstance(left, Child):
            end_child(left)

    def stop(self) -> None:
        """See `Trainer.stop`."""
        self._stopping.set()

    def _run(self, *arguments: str, attempt: Attempt) -> dict[str, Any]:
        return self.run_line(plumbline_line(*arguments, "--json"), arguments, attempt)

    def run_line(self, line: list[str], arguments: tuple[str, ...], attempt: Attempt) -> dict[str, Any]:
        """Runs a command line to its end.

        Args:
            line: The program and its arguments; it prints one JSON object.
            arguments: Those of `plumbline` that the line stands for, for messages.
            attempt: The try that it belongs to.

        Returns:
            What it printed.

        Raises:
            PlumblineError: It failed, or has shown no progress for too long.
            StoppedError: `stop` was called.
            CancelledError: The retraining was cancelled.
        """
        log = attempt.log
        log.parent.mkdir(parents=True, exist_ok=True)
        answer_file = log.with_suffix(".stdout")
        self._go_on_or_raise(arguments, attempt)
        with log.open("ab") as errors, answer_file.open("wb") as answers:
            errors.write(f"$ plumbline {' '.join(arguments)} --json\n".encode())
            errors.flush()
            process = subprocess.Popen(
                held_line(line),  # released once the state knows its process
                stdin=subprocess.PIPE,
                stdout=answers,
                stderr=errors,
                env={**os.environ, "PLUMBLINE_HOME": str(self._settings.home)},
                start_new_session=True,  # its whole group can be ended, and a Ctrl-C does not reach it before us
            )
            try:
                attempt.on_start(Child(process.pid, psutil.Process(process.pid).create_time()))
                _release(process)
                self._wait(process, arguments, attempt)
            finally:
                end_group(process.pid)
                process.wait()
        if process.returncode in _STOPPED_CODES and self._stopping.wait(_SIGNALLED_SECONDS):
            # Who ends a whole group or unit reaches the command sooner than us.
            self._go_on_or_raise(arguments, attempt)
        if process.returncode != 0:
            raise PlumblineError(_said(arguments, process.returncode, log))
        return _read_answer(arguments, answer_file)

    def _wait(self, process: subprocess.Popen[bytes], arguments: tuple[str, ...], attempt: Attempt) -> None:
        """Until the command ends; it may take as long as it gets on."""
        patience = Patience(
            self._settings.controller.training_patience_seconds,
            work=lambda: processor_seconds(_members(process.pid)),
            sign=LogLines(attempt.log).look,
        )
        polls = 0
        while process.poll() is None:
            self._stopping.wait(_POLL_SECONDS)
            polls += 1
            if self._stopping.is_set() or polls % _LOOKS_EACH == 0:
                self._go_on_or_raise(arguments, attempt)
            if polls % _LOOKS_EACH == 0 and patience.lost() and not waits_elsewhere(arguments):
                raise PlumblineError(
                    f"`plumbline {' '.join(arguments[:3])}` has neither worked nor said anything new for "
                    f"{patience.seconds:.0f} s and was ended (log: {attempt.log}). If it waited for a service, look at "
                    "that; PLUMBLINE_CONTROLLER__TRAINING_PATIENCE_SECONDS waits longer."
                )

    def _go_on_or_raise(self, arguments: tuple[str, ...], attempt: Attempt) -> None:
        if self._stopping.is_set():
            attempt.on_stop()
            raise StoppedError(f"`plumbline {' '.join(arguments[:3])}` was stopped with the controller.")
        if attempt.cancelled():
            raise CancelledError(f"`plumbline {' '.join(arguments[:3])}` was cancelled.")


def _release(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError), process.stdin as pipe:  # somebody may have ended it already
        pipe.write(b"1")


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
    if code == -signal.SIGKILL:
        said = f"it was killed, as the kernel does where memory runs out (`dmesg` says so). Its last words: {said}"
    return f"`plumbline {' '.join(arguments[:3])}` ended with exit code {code}: {said} (log: {log})"


def _read_answer(arguments: tuple[str, ...], path: Path) -> dict[str, Any]:
    try:
        answer = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise PlumblineError(f"`plumbline {' '.join(arguments[:3])}` printed no JSON; see {path}.") from error
    if not isinstance(answer, dict):
        raise PlumblineError(f"`plumbline {' '.join(arguments[:3])}` printed no JSON object; see {path}.")
    return answer
