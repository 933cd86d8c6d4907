"""Runs `plumbline` commands as child processes: short ones to their result, services until they are stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from plumbline.errors import DependencyError, GateRefusedError, IntegrityError, PlumblineError, UserError
from plumbline.process.children import plumbline_line
from plumbline.process.marks import RUN_VARIABLE

_ERRORS: dict[int, type[PlumblineError]] = {
    kind.exit_code: kind for kind in (UserError, GateRefusedError, DependencyError, IntegrityError)
}
_TAIL_LINES = 12


class Commands:
    """Runs commands of one demo run; each writes what it says to a log of its own."""

    def __init__(self, *, logs: Path, run_id: str, settings_variables: Mapping[str, str]) -> None:
        self._logs = logs
        self._environment = {**os.environ, **settings_variables, RUN_VARIABLE: run_id}
        self._count = 0

    def result(self, *arguments: str) -> dict[str, Any]:
        """Runs a command with `--json` and returns what it printed.

        Raises:
            PlumblineError: The command failed; the error is of the kind that its exit code stands for and
                carries the command's own sentence.
        """
        log = self._log_path(arguments)
        with log.open("wb") as errors:
            done = subprocess.run(
                plumbline_line(*arguments, "--json"),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=self._environment,
                check=False,
            )
        if done.returncode != 0:
            raise _error_of(arguments, done.returncode, log)
        try:
            result = json.loads(done.stdout)
        except ValueError as error:
            raise PlumblineError(
                f"`plumbline {' '.join(arguments)}` printed something that is not JSON; see {log}."
            ) from error
        if not isinstance(result, dict):
            raise PlumblineError(f"`plumbline {' '.join(arguments)}` printed no JSON object; see {log}.")
        return result

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
        return self._logs / f"{self._count:02d}-{'-'.join(words)}.log"


class Service:
    """A command that runs beside the demo."""

    def __init__(self, arguments: tuple[str, ...], process: subprocess.Popen[bytes], log: Path) -> None:
        self._arguments = arguments
        self._process = process
        self._log = log

    def wait_ready(self, url: str, *, timeout_seconds: float) -> None:
        """Waits until the address answers 200.

        Raises:
            PlumblineError: The service ended, with the kind of its exit code.
            DependencyError: It did not answer in time.
        """
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            code = self._process.poll()
            if code is not None:
                raise _error_of(self._arguments, code, self._log)
            try:
                if httpx.get(url, timeout=2.0).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass  # not listening yet: what this loop waits for
            time.sleep(0.3)
        raise DependencyError(f"{url} did not become ready within {timeout_seconds:.0f} s; see {self._log}.")

    def stop(self, *, timeout_seconds: float) -> None:
        """Ends the service in order; what does not end in time is left to the watchdog.

        Raises:
            PlumblineError: It had ended before, or did not end in order.
        """
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired as error:
            raise PlumblineError(
                f"`plumbline {' '.join(self._arguments)}` did not stop within {timeout_seconds:.0f} s; see {self._log}."
            ) from error
        if code not in (0, -signal.SIGTERM, 128 + signal.SIGTERM):
            raise _error_of(self._arguments, code, self._log)


def _error_of(arguments: tuple[str, ...], code: int, log: Path) -> PlumblineError:
    lines = log.read_text(errors="replace").strip().splitlines()
    kind = _ERRORS.get(code, PlumblineError)
    said = [line for line in lines if line.startswith("plumbline: ")]
    if said and code in _ERRORS:
        return kind(said[-1].removeprefix("plumbline: "))
    tail = "\n".join(lines[-_TAIL_LINES:])
    return kind(f"`plumbline {' '.join(arguments)}` ended with exit code {code}; its last lines ({log}):\n{tail}")
