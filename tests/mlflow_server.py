"""A real MLflow server, that can be killed and started again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

import httpx


class MlflowServer:
    """Running between enter and exit.

    Args:
        database: SQLite file of its store; it must be there.
        artifacts: Folder of the artefacts that are sent to it.
    """

    def __init__(self, database: Path, artifacts: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._command = [
            sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
            "--backend-store-uri", f"sqlite:///{database}", "--artifacts-destination", str(artifacts),
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Starts it and waits until it answers."""
        environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        self._process = subprocess.Popen(
            self._command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,  # its workers are processes of their own, and go with it
        )
        deadline = time.monotonic() + 300
        while True:
            try:
                httpx.get(f"{self.url}/health", timeout=1).raise_for_status()
            except httpx.HTTPError:
                assert time.monotonic() < deadline, "MLflow's server did not start"
                assert self._process.poll() is None, "MLflow's server has ended"
                time.sleep(0.2)
            else:
                return

    def kill(self) -> None:
        """SIGKILL, to its workers too."""
        assert self._process is not None
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
