"""Retrains by running the same commands that a person would, as child processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import psutil

from plumbline.errors import GateRefusedError, PlumblineError
from plumbline.settings import Settings

_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.1
_TAIL_LINES = 5


class StoppedError(PlumblineError):
    """The controller was asked to stop while a child process ran; the retraining is taken up at the next start."""


@dataclass(frozen=True)
class Outcome:
    """What a training came to.

    Attributes:
        verdict: Of the gate: `promote` or `reject`.
        model_version: The registered version.
        run_id: Its MLflow run.
        promoted: Whether it is the champion now.
        result: Everything that the pipeline answered.
    """

    verdict: str
    model_version: str
    run_id: str
    promoted: bool
    result: dict[str, Any]


@dataclass(frozen=True)
class Child:
    """A process that a step runs in; `started` tells it from a later one with the same number."""

    pid: int
    started: float


OnChild = Callable[[Child], None]


class Trainer(Protocol):
    """Prepares features, trains, and promotes."""

    def prepare(self, snapshot: str, as_of: datetime, *, log: Path, on_child: OnChild) -> float:
        """Rebuilds the features as of the instant; returns the parity between offline and online, 0..1.

        Raises:
            GateRefusedError: Parity is below 1.
            PlumblineError: It failed.
            StoppedError: `stop` was called.
        """
        ...

    def train(
        self,
        snapshot: str,
        as_of: datetime,
        *,
        parity: float,
        reason: str,
        promote: bool,
        log: Path,
        on_child: OnChild,
    ) -> Outcome:
        """Trains, gates, and (with `promote`, where the gate agrees) makes the new version the champion.

        Raises:
            PlumblineError: It failed.
            StoppedError: `stop` was called.
        """
        ...

    def promote(self, version: str, reason: str, *, log: Path, on_child: OnChild) -> None:
        """Makes a version the champion.

        Raises:
            PlumblineError: It failed.
            StoppedError: `stop` was called.
        """
        ...

    def stop(self) -> None:
        """Ends what runs; the call that runs it raises `StoppedError`."""
        ...


class CommandTrainer:
    """Runs `plumbline ...` commands with this process's Python and environment."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stopping = threading.Event()

    def prepare(self, snapshot: str, as_of: datetime, *, log: Path, on_child: OnChild) -> float:
        """See `Trainer.prepare`."""
        pairs = str(self._settings.controller.parity_pairs)
        answer = self._run(
            "features", "prepare", "--snapshot", snapshot, "--as-of", as_of.isoformat(), "--pairs", pairs,
            log=log, on_child=on_child,
        )  # fmt: skip
        share = float(answer["parity"]["share"])
        if share < 1.0:
            raise GateRefusedError(
                f"Offline and online features agree in only {share:.2%} of pairs; training is refused. See {log}."
            )
        return share

    def train(
        self,
        snapshot: str,
        as_of: datetime,
        *,
        parity: float,
        reason: str,
        promote: bool,
        log: Path,
        on_child: OnChild,
    ) -> Outcome:
        """See `Trainer.train`."""
        changes = self._settings.controller.training_settings.items()
        changed = [word for name, value in changes for word in ("--set", f"{name}={value}")]
        answer = self._run(
            "pipeline", "run", "training", "--snapshot", snapshot, "--as-of", as_of.isoformat(),
            "--parity", str(parity), "--reason", reason, *changed, *(() if promote else ("--no-promote",)),
            log=log, on_child=on_child,
        )  # fmt: skip
        return Outcome(
            verdict=str(answer["gate"]["verdict"]),
            model_version=str(answer["model_version"]),
            run_id=str(answer["run_id"]),
            promoted=bool(answer["promoted"]),
            result=answer,
        )

    def promote(self, version: str, reason: str, *, log: Path, on_child: OnChild) -> None:
        """See `Trainer.promote`."""
        self._run("models", "promote", version, "--reason", reason, log=log, on_child=on_child)

    def stop(self) -> None:
        """See `Trainer.stop`."""
        self._stopping.set()

    def _run(self, *arguments: str, log: Path, on_child: OnChild) -> dict[str, Any]:
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
            on_child(Child(process.pid, psutil.Process(process.pid).create_time()))
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
