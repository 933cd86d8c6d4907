"""A real S3 endpoint over HTTP: moto's server, in a process of its own."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import boto3
import httpx

CREDENTIALS = {"access_key_id": "test", "secret_access_key": "test"}


class S3Endpoint:
    """An endpoint that can be started late and ended early; between enter and exit no process is left behind.

    Args:
        port: Where it listens once it is started.
    """

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def start(self) -> None:
        """Starts it, empty, and waits until it answers."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while True:
            try:
                httpx.get(self.url, timeout=1)
            except httpx.TransportError:
                assert time.monotonic() < deadline, "the endpoint did not start"
                assert self._process.poll() is None, "the endpoint ended"
                time.sleep(0.1)
            else:
                return

    def pause(self) -> None:
        """It takes connections and requests, and answers none of them until it goes on."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Goes on, with what came in meanwhile."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)


@contextmanager
def running_endpoint() -> Iterator[str]:
    """Starts the endpoint on a free port; gives its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with S3Endpoint(port) as endpoint:
        endpoint.start()
        yield endpoint.url


def store_in(endpoint: str, bucket: str) -> dict[str, Any]:
    """Makes the bucket; gives the settings of a store in it."""
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=CREDENTIALS["access_key_id"],
        aws_secret_access_key=CREDENTIALS["secret_access_key"],
    )
    client.create_bucket(Bucket=bucket)
    return {"bucket": bucket, "endpoint_url": endpoint, "attempts": 1, "connect_timeout_seconds": 2.0, **CREDENTIALS}
