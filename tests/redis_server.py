"""A real Redis that asks for a password, and that can be killed and started again with what it held."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

import pytest

PASSWORD = "not-a-secret"


class RedisServer:
    """Running between enter and exit.

    Args:
        folder: Where it keeps what it holds.
    """

    def __init__(self, folder: Path) -> None:
        if shutil.which("redis-server") is None:
            pytest.skip("redis-server is not installed")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._command = [
            "redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--requirepass", PASSWORD,
            "--save", "", "--appendonly", "yes", "--appendfsync", "no", "--dir", str(folder),
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def online_store(self) -> dict[str, str]:
        """Feast's section for it."""
        return {"type": "redis", "connection_string": f"127.0.0.1:{self.port},password={PASSWORD}"}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Starts it, with what it held before, and waits until it takes connections."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                assert time.monotonic() < deadline, "redis-server did not start"
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        """SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
