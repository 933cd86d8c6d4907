"""Runs `plumbline` commands as child processes: short ones to their result, services until they are stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

from plumbline.errors import DependencyError, GateRefusedError, IntegrityError, PlumblineError, UserError
from plumbline.process.children import plumbline_line
from plumbline.process.lines import LogLines
from plumbline.process.marks import RUN_VARIABLE
from plumbline.process.patience import Patience, processor_seconds
from plumbline.process.progress import innermost

_ERRORS: dict[int, type[PlumblineError]] = {
    kind.exit_code: kind for kind in (UserError, GateRefusedError, DependencyError, IntegrityError)
}
_TAIL_LINES = 12
_TAIL_BYTES = 2_000
_LOOK_SECONDS = 0.3
_PATIENCE_SECONDS = 300.0
"""Without any work or word of a service; however long it works is no matter."""

T = TypeVar("T")


class Commands:
    """Runs commands of one demo run; each writes what it says to a log of its own."""

    def __init__(self, *, logs: Path, run_id: str, settings_variables: Mapping[str, str]) -> None:
        self._logs = logs
        self._environment = {**os.environ, **settings_variables, RUN_VARIABLE: run_id}
        self._count = len(list(logs.glob("*.log")))
        self._latest: Path | None = None

    def last_line(self) -> str:
        """What the command that was started last has said last."""
        return "" if self._latest is None else _last_line(self._latest)

    def result(self, *arguments: str) -> dict[str, Any]:
        """Runs a command with `--json` and returns what it printed.

        Raises:
            PlumblineError: The command failed; the error is of the kind that its exit code stands for and
                carries the command's own sentence.
        """
        return self.results(arguments)[0]

    def results(self, *commands: tuple[str, ...]) -> list[dict[str, Any]]:
        """Runs commands side by side: much of what each does is importing, on one core. See `result`."""
        running: list[_Running] = []
        try:
            for arguments in commands:
                running.append(self._start(arguments))  # noqa: PERF401 - what was started is ended whatever follows
            return [each.result() for each in running]
        finally:
            for each in running:
                each.end()

    def _start(self, arguments: tuple[str, ...]) -> _Running:
        log = self._log_path(arguments)
        with log.open("wb") as errors:
            process = subprocess.Popen(
                plumbline_line(*arguments, "--json"),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=self._environment,
            )
        return _Running(arguments, process, log)

    def service(self, *arguments: str, settings_variables: Mapping[str, str] | None = None) -> Service:
        """Starts a command that runs until it is stopped.

        Args:
            arguments: What follows `plumbline`.
            settings_variables: Settings of this service alone, as environment variables.
        """
        log = self._log_path(arguments)
        with log.open("wb") as output:
            process = subprocess.Popen(
                plumbline_line(*arguments),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**self._environment, **(settings_variables or {})},
                start_new_session=True,
            )
        return Service(arguments, process, log)

    def _log_path(self, arguments: tuple[str, ...]) -> Path:
        self._count += 1
        words = [word for word in arguments[:3] if not word.startswith("-") and "/" not in word]
        self._latest = self._logs / f"{self._count:02d}-{'-'.join(words)}.log"
        return self._latest


class _Running:
    """A command that runs to its result."""

    def __init__(self, arguments: tuple[str, ...], process: subprocess.Popen[bytes], log: Path) -> None:
        self._arguments, self._process, self._log = arguments, process, log

    def result(self) -> dict[str, Any]:
        """Waits for what it prints; see `Commands.result`."""
        printed, _ = self._process.communicate()
        if self._process.returncode != 0:
            raise _error_of(self._arguments, self._process.returncode, self._log)
        try:
            result = json.loads(printed)
        except ValueError as error:
            raise PlumblineError(
                f"`plumbline {' '.join(self._arguments)}` printed something that is not JSON; see {self._log}."
            ) from error
        if not isinstance(result, dict):
            raise PlumblineError(f"`plumbline {' '.join(self._arguments)}` printed no JSON object; see {self._log}.")
        return result

    def end(self) -> None:
        """Kills it, unless it has ended."""
        with self._process:
            self._process.kill()


class Service:
    """A command that runs beside the demo."""

    def __init__(self, arguments: tuple[str, ...], process: subprocess.Popen[bytes], log: Path) -> None:
        self._arguments = arguments
        self._process = process
        self._log = log

    def last_line(self) -> str:
        """What it has said last."""
        return _last_line(self._log)

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self._process.poll() is None

    def wait_for(self, ask: Callable[[], T | None], what: str) -> T:
        """Asks until there is an answer, as long as the service lives and gets on.

        Args:
            ask: None while there is no answer; a service that cannot be reached has none.
            what: What is waited for, for the message.

        Raises:
            PlumblineError: The service ended, with the kind of its exit code.
            DependencyError: It has neither worked nor said anything for minutes.
        """
        patience = Patience(_PATIENCE_SECONDS, work=self._work, sign=LogLines(self._log).look)
        while True:
            code = self._process.poll()
            if code is not None:
                raise _error_of(self._arguments, code, self._log)
            try:
                found = ask()
            except httpx.HTTPError:
                found = None  # not listening yet, or too busy to answer now
            if found is not None:
                return found
            if patience.lost():
                raise DependencyError(
                    f"{what} did not come, and nothing has moved for {patience.silent_seconds:.0f} s; see {self._log}."
                )
            time.sleep(_LOOK_SECONDS)

    def wait_ready(self, url: str) -> None:
        """Waits until the address answers 200; see `wait_for`."""
        self.wait_for(lambda: httpx.get(url, timeout=10.0).status_code == httpx.codes.OK or None, f"200 from {url}")

    def stop(self) -> None:
        """Ends the service in order; one that does not end is left to the watchdog.

        Raises:
            PlumblineError: It had ended before, or did not end in order.
        """
        if self.alive:
            self._process.send_signal(signal.SIGTERM)
        patience = Patience(_PATIENCE_SECONDS, work=self._work)
        while (code := self._process.poll()) is None:
            if patience.lost():
                raise PlumblineError(
                    f"`plumbline {' '.join(self._arguments)}` was asked to stop, and nothing has moved for "
                    f"{patience.silent_seconds:.0f} s; see {self._log}."
                )
            time.sleep(_LOOK_SECONDS)
        if code not in (0, -signal.SIGTERM, 128 + signal.SIGTERM):
            raise _error_of(self._arguments, code, self._log)

    def _work(self) -> float:
        try:
            process = psutil.Process(self._process.pid)
            return processor_seconds([process, *process.children(recursive=True)])
        except psutil.NoSuchProcess:
            return 0.0


def _last_line(log: Path) -> str:
    with log.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL_BYTES))
        lines = file.read().decode("utf-8", errors="replace").splitlines()
    return innermost(next((line.strip() for line in reversed(lines) if line.strip()), ""))


def _error_of(arguments: tuple[str, ...], code: int, log: Path) -> PlumblineError:
    lines = log.read_text(errors="replace").strip().splitlines()
    kind = _ERRORS.get(code, PlumblineError)
    said = [line for line in lines if line.startswith("plumbline: ")]
    if said and code in _ERRORS:
        return kind(said[-1].removeprefix("plumbline: "))
    tail = "\n".join(lines[-_TAIL_LINES:])
    return kind(f"`plumbline {' '.join(arguments)}` ended with exit code {code}; its last lines ({log}):\n{tail}")
