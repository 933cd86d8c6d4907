"""A real controller process for tests, whose steps sleep as long as their files are there."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil

from plumbline.alerts.webhook import build_alert, build_message
from plumbline.process.patience import Patience, processor_seconds

HERE = Path(__file__).parent
PAYLOAD = build_message(
    [
        build_alert(
            "PostingDrift",
            severity="warning",
            labels={"model": "posting-classifier", "model_version": "1"},
            annotations={
                "summary": "words moved",
                "snapshot_id": "ab" * 32,
                "window_end": "2026-06-01T00:00:00+00:00",
            },
            starts_at=datetime(2026, 5, 20, tzinfo=UTC),
        )
    ],
    receiver="test",
).to_json()


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(found: Callable[[], object], *processes: int) -> None:
    """Waits, as long as the processes work; the caller's own children by default."""

    def work() -> float:
        ours = [psutil.Process(pid) for pid in processes if psutil.pid_exists(pid)]
        return processor_seconds([*ours, *psutil.Process().children(recursive=True)])

    patience = Patience(60.0, work=work)
    while not found():
        assert not patience.lost(), "it did not happen"
        time.sleep(0.05)


class ControllerProcess:
    """`plumbline controller run` with a trainer that sleeps in real child processes.

    Args:
        folder: Holds the files that steps wait for, and the home.
        port: Where it listens.
        **settings: Its `controller` settings, as environment variables.
    """

    def __init__(self, folder: Path, port: int, **settings: str) -> None:
        self._folder = folder
        self.url = f"http://127.0.0.1:{port}"
        own = {"RETRY_PAUSE_SECONDS": "0", **settings}
        environment = {
            **os.environ,
            "HOME": str(folder),
            "PLUMBLINE_HOME": str(folder / "home"),
            **{f"PLUMBLINE_CONTROLLER__{name}": value for name, value in own.items()},
        }
        self.process = subprocess.Popen([sys.executable, str(HERE / "loop_trainers.py"), str(port)], env=environment)
        until(self._ready)

    def alert(self) -> None:
        """Sends an alert that a retraining answers."""
        httpx.post(f"{self.url}/webhook/alertmanager", content=PAYLOAD).raise_for_status()

    def status(self) -> dict[str, Any]:
        """What its page tells."""
        found: dict[str, Any] = httpx.get(f"{self.url}/status").json()
        return found

    def retraining(self) -> dict[str, Any]:
        """The first retraining."""
        found: dict[str, Any] = self.status()["retrainings"][0]
        return found

    def wait_for_step(self, step: str) -> int:
        """Waits until the step's process sleeps and the state knows it; returns its id."""
        file = self._folder / f"{step}.pid"

        def sleeps() -> bool:
            return file.exists() and file.read_text() == str(self.retraining()["child_pid"])

        until(sleeps)
        return int(file.read_text())

    def end(self, number: signal.Signals) -> int:
        """Sends a signal and waits for the end; returns the exit code."""
        self.process.send_signal(number)
        return self.process.wait()

    def _ready(self) -> bool:
        assert self.process.poll() is None, "the controller did not start"
        try:
            return httpx.get(f"{self.url}/healthz").status_code == 200
        except httpx.TransportError:
            return False


def gone(pid: int) -> bool:
    """Whether a process has ended."""
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
