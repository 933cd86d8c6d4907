"""Starts MLflow's own views."""

from __future__ import annotations

import os
import signal
import socket
import subprocess

from plumbline.process.children import module_line
from plumbline.registry.tracking import configure
from plumbline.settings import Settings


def free_port() -> int:
    """A port of this machine that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def command_line(uri: str, port: int) -> list[str]:
    """Command that starts MLflow's server on these runs and models."""
    return module_line(
        "mlflow", "ui",
        "--backend-store-uri", uri,
        "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
    )  # fmt: skip


def run_ui(settings: Settings, line: list[str]) -> int:
    """Runs it until it is stopped; creates the database first where there is none.

    Returns:
        Its exit code; 0 when it was stopped by Ctrl-C or SIGTERM.
    """
    configure(settings)
    # Background jobs of MLflow's server (eight more processes) serve features that nothing here uses.
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a polite end is the same as Ctrl-C
    with subprocess.Popen(line, env=environment) as server:
        try:
            return server.wait()
        except KeyboardInterrupt:
            server.terminate()
            server.wait()
            return 0
