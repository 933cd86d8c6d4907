"""CPU of the HTTP front per request, by route: everything between the socket and an engine that answers at once.

    python benchmarks/front.py [--requests 20000]

The server's thread is measured, on real sockets of this machine; the clients are another process. `uvicorn` is a
bare ASGI application on uvicorn's own protocol: what any server of this kind costs.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import multiprocessing
import socket
import tempfile
import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, cast

import numpy as np
import uvicorn
import uvloop
from starlette.types import ASGIApp, Receive, Scope, Send

from plumbline.data.contract import REQUEST_COLUMNS
from plumbline.data.generator import GeneratorConfig, generate
from plumbline.settings import load_settings
from serving.access.guard import Guard
from serving.engine.engine import Engine
from serving.engine.lane import Lane
from serving.engine.query import Answer, Query, Timings
from serving.errors import RequestRefusedError
from serving.http.app import build_app
from serving.http.drain import Drain
from serving.http.front import Front
from serving.http.gate import Gate
from serving.http.listener import HttpListener
from serving.http.routes import HotRoutes
from serving.http.shedding import Shedder
from serving.telemetry.metrics import Metrics
from serving.telemetry.tracing import Tracing

_CONNECTIONS = 16
_BATCH = 64
_STARTS = range(0, 3 * _BATCH, _BATCH)
_PROBABILITIES = np.array([0.1, 0.9], np.float32)


class ConstantLane:
    """Answers at once, or refuses everything."""

    name = "constant"
    budget_seconds = 0.05

    def __init__(self, *, full: bool) -> None:
        detail = "1024 requests wait, about 130 ms: more than the budget of 50 ms. Retry later, or send less."
        self._refusal = RequestRefusedError(503, "overloaded", detail, retry_after=1) if full else None

    def overloaded(self, _budget: float, *, coming: int = 0) -> RequestRefusedError | None:  # noqa: ARG002
        return self._refusal

    def overloaded_in_bulk(self, _budget: float, *, queries: int) -> RequestRefusedError | None:  # noqa: ARG002
        return self._refusal

    async def answer(self, query: Query) -> Answer:
        timings = Timings(0.1, 0.1, 0.1, 0.1, 0.5)
        labels = ("a", "b")
        posting_id = query.posting.posting_id
        return Answer(
            query.request_id, posting_id, "b", 0.9, _PROBABILITIES, labels, "constant", "1", "champion", [], timings
        )

    async def answer_all(self, queries: Sequence[Query]) -> list[Answer]:
        return [await self.answer(query) for query in queries]


class ConstantEngine:
    """One constant lane."""

    def __init__(self, *, full: bool) -> None:
        self._lane = ConstantLane(full=full)
        self.lanes: Mapping[str, Lane] = MappingProxyType({"constant": cast("Lane", self._lane)})

    def lane(self, _model: str | None = None) -> Lane:
        return cast("Lane", self._lane)

    def arrived(self) -> float:
        return time.monotonic()


async def bare(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the body, answers a constant."""
    if scope["type"] != "http":
        return
    await receive()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"230")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"x" * 230})


def bodies() -> list[bytes]:
    """Generated postings, 780 bytes on average."""
    found = []
    for frame in generate(GeneratorConfig(rows=500, weeks=4, companies=50)):
        for row in frame.to_dict("records"):
            chosen = {name: row[name] for name in REQUEST_COLUMNS if row[name] is not None and row[name] == row[name]}
            found.append(json.dumps({**chosen, "event_timestamp": row["event_timestamp"].isoformat()}).encode())
    return found


def clients(port: int, path: str, contents: Sequence[bytes], count: int) -> None:
    """Sends requests on several connections, one after the other on each."""
    talks = [socket.create_connection(("127.0.0.1", port)) for _ in range(_CONNECTIONS)]
    head = f"POST {path} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\naccept: */*\r\nx-request-id: %d\r\n"
    requests = [
        (head % number + f"content-length: {len(body)}\r\n\r\n").encode() + body for number, body in enumerate(contents)
    ]
    sent = 0
    while sent < count:
        for talk in talks:
            talk.sendall(requests[sent % len(requests)])
            sent += 1
        for talk in talks:
            _read(talk)


def _read(talk: socket.socket) -> None:
    data = talk.recv(65536)
    while b"\r\n\r\n" not in data:
        data += talk.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r")[0])
    while len(body) < length:
        body += talk.recv(65536)


async def cost(path: str, contents: Sequence[bytes], port: int, count: int) -> float:
    """Microseconds of CPU of this thread per request; the least of three rounds."""
    gc.collect()
    gc.freeze()
    rounds = []
    for _ in range(3):
        process = multiprocessing.get_context("fork").Process(target=clients, args=(port, path, contents, count))
        process.start()
        start = time.thread_time()
        while process.is_alive():
            await asyncio.sleep(0.05)
        if process.exitcode:
            raise SystemExit(f"The clients of {path} ended with {process.exitcode}.")
        rounds.append((time.thread_time() - start) / count * 1e6)
    return min(rounds)


async def ours(path: str, contents: Sequence[bytes], port: int, count: int, *, full: bool) -> float:
    """Cost on our listener."""
    with tempfile.TemporaryDirectory() as home:
        serving = load_settings(home=home).serving
        engine = cast("Engine", ConstantEngine(full=full))
        metrics, tracing = Metrics({"constant": 0.05}), Tracing(serving.telemetry)
        front = Front(serving, engine, Guard(serving), metrics, Drain(None), tracing)
        routes = HotRoutes(front)
        gate = Gate(serving.http, Shedder(front, routes.by_path), front.drain)
        listener = HttpListener(build_app(front, routes, {}), gate, drain_seconds=1)
        await listener.start("127.0.0.1", port)
        try:
            return await cost(path, contents, port, count)
        finally:
            await listener.stop()


async def plain(app: ASGIApp, contents: Sequence[bytes], port: int, count: int) -> float:
    """Cost on uvicorn as it is."""
    config = uvicorn.Config(
        cast("Any", app), port=port, http="httptools", lifespan="off", access_log=False, log_config=None
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        return await cost("/", contents, port, count)
    finally:
        server.should_exit = True
        await task


class Unparsed(asyncio.Protocol):
    """Writes a constant for whatever is read: what the event loop and the kernel take by themselves."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, _data: bytes) -> None:
        self._transport.write(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 230\r\n\r\n" + b"x" * 230)


async def unparsed(contents: Sequence[bytes], port: int, count: int) -> float:
    """Cost of reading and writing alone."""
    server = await asyncio.get_running_loop().create_server(Unparsed, "127.0.0.1", port)
    try:
        return await cost("/", contents, port, count)
    finally:
        server.close()


async def measure(count: int, port: int) -> dict[str, float]:
    """Microseconds per request, by case; of the batch route, per posting too."""
    singles = bodies()
    batches = [
        b'{"postings": [' + b", ".join(singles[start : start + _BATCH]) + b"]}" for start in range(0, 192, _BATCH)
    ]
    batch = await ours("/v1/classify:batch", batches, port, max(count // _BATCH, 64), full=False)
    return {
        "read and written, not parsed": await unparsed(singles, port, count),
        "uvicorn, bare": await plain(bare, singles, port, count),
        "/v1/classify": await ours("/v1/classify", singles, port, count, full=False),
        "/v1/classify, refused at the headers": await ours("/v1/classify", singles, port, count, full=True),
        f"/v1/classify:batch of {_BATCH}": batch,
        f"/v1/classify:batch of {_BATCH}, per posting": batch / _BATCH,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--port", type=int, default=22_001)
    arguments = parser.parse_args()
    found = uvloop.run(measure(arguments.requests, arguments.port))
    print(json.dumps({name: round(value, 1) for name, value in found.items()}, indent=2))


if __name__ == "__main__":
    main()
