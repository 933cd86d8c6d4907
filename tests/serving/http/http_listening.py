"""A replica on stand-ins that listens on a port of this machine, as one under Ray does."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from serving_standins import Features, Models, WordCountModel

from plumbline.settings import Settings
from serving.loop_thread import LoopThread
from serving.replica import Replica

_Result = TypeVar("_Result")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Listening:
    """The replica, the loop it lives on, and where it listens."""

    replica: Replica
    loop: LoopThread
    port: int
    features: Features
    settings: Settings

    def run(self, coroutine: Coroutine[Any, Any, _Result]) -> _Result:
        return asyncio.run(self.loop.run(coroutine, within=30))

    def connect(self) -> Talk:
        return Talk(socket.create_connection(("127.0.0.1", self.port), timeout=10))


class Talk:
    """A connection that is written to and read from byte by byte."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._buffer = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def post(self, body: bytes, path: str = "/v1/classify", **headers: str) -> Answered:
        self.send(request(body, path, **headers))
        return self.read()

    def read(self, *, head_only: bool = False) -> Answered:
        """The next answer, to HEAD its head only."""
        while b"\r\n\r\n" not in self._buffer:
            self._fill()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        if head_only:
            return Answered(int(first.split(" ")[1]), headers, None)
        length = int(headers["content-length"])
        while len(self._buffer) < length:
            self._fill()
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return Answered(int(first.split(" ")[1]), headers, orjson.loads(body))

    def is_closed(self) -> bool:
        """Whether the other side closes, within the socket's timeout."""
        assert not self._buffer
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def _fill(self) -> None:
        data = self.socket.recv(65536)
        assert data, f"closed after {self._buffer!r}"
        self._buffer += data


@dataclass
class Answered:
    """One answer."""

    status: int
    headers: dict[str, str]
    body: Any


def request(body: bytes, path: str = "/v1/classify", **headers: str) -> bytes:
    """A POST as it goes over the wire."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"POST {path} HTTP/1.1\r\nhost: test\r\n{lines}content-length: {len(body)}\r\n\r\n".encode() + body


@contextmanager
def listening(settings: Settings, model: WordCountModel | None = None, **changes: Any) -> Iterator[Listening]:
    """Starts a replica with changed serving settings; stops it at the end."""
    port = changes.pop("port", None) or free_port()
    changes = {"latency_budget_ms": 5000.0, "alias_poll_seconds": 0.02, **changes}
    http = settings.serving.http.model_copy(update=changes.pop("http", {}))
    serving = settings.serving.model_copy(
        update={"port": port, "grpc_port": 0, "http": http, "inline_batch_ms": 0.0, **changes}
    )
    changed = settings.model_copy(update={"serving": serving})
    models, features = Models(model), Features()
    replica = Replica(changed, models=lambda _: models, features=features)
    loop = LoopThread("endpoint")
    try:
        asyncio.run(loop.run(replica.listen(), within=30))
        yield Listening(replica, loop, port, features, changed)
    finally:
        features.go_on.set()
        asyncio.run(loop.run(replica.close(), within=30))
        loop.close()
