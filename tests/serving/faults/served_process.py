"""`plumbline serve run` in a process, and the processes of Ray below it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

import psutil
from fault_replica import free_port

_GONE_SECONDS = 30.0


class ServedProcess:
    """Running and ready between enter and exit; afterwards nothing of it is left.

    Args:
        home: The installation's.
        variables: More settings, by environment.
    """

    def __init__(self, home: Path, **variables: str) -> None:
        self.home = home
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        names = {name: value for name, value in os.environ.items() if not name.startswith("PLUMBLINE_")}
        self.environment = {
            **names,
            "PLUMBLINE_HOME": str(home),
            "PLUMBLINE_SERVING__PORT": str(port),
            "PLUMBLINE_SERVING__GRPC_PORT": "0",
            **variables,
        }

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "plumbline", "serve", "run", "--json"],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._wait_until_ready()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        self.wait_until_nothing_is_left()

    def replica(self) -> psutil.Process | None:
        """The process that answers; None while there is none."""
        return self._process_named("ListeningReplica") or self._process_named("ServeReplica")

    def raylet(self) -> psutil.Process:
        """Ray's own process of this machine, the parent of its workers."""
        found = self._process_named("raylet/raylet")
        assert found is not None
        return found

    def wait_until_nothing_is_left(self) -> None:
        """Waits until no process of this home is there any more."""
        deadline = time.monotonic() + _GONE_SECONDS
        while left := self._processes():
            assert time.monotonic() < deadline, [" ".join(process.cmdline()) for process in left]
            time.sleep(0.1)

    def _process_named(self, part: str) -> psutil.Process | None:
        for process in self._processes():
            try:
                if part in " ".join(process.cmdline()[:1]):
                    return process
            except psutil.Error:
                continue
        return None

    def _processes(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            try:
                if (
                    process.environ().get("PLUMBLINE_HOME") == str(self.home)
                    and process.status() != psutil.STATUS_ZOMBIE
                ):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def _wait_until_ready(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        lines = ""
        for line in self.process.stdout:
            lines += line
            if line == "}\n":
                ready: dict[str, Any] = json.loads(lines)
                return ready
        raise AssertionError(f"the endpoint ended: {self.process.stderr.read()}")
