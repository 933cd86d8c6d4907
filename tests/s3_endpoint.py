"""A real S3 endpoint over HTTP: moto's server, in a process of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import httpx

CREDENTIALS = {"access_key_id": "test", "secret_access_key": "test"}


@contextmanager
def running_endpoint() -> Iterator[str]:
    """Starts the endpoint on a free port; gives its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    httpx.get(url, timeout=1)
                    break
                except httpx.TransportError:
                    assert time.monotonic() < deadline, "the endpoint did not start"
                    assert server.poll() is None, "the endpoint ended"
                    time.sleep(0.1)
            yield url
        finally:
            server.terminate()


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
