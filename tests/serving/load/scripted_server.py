"""A real HTTP server in a thread of its own, whose answers a test scripts byte by byte."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import orjson


@dataclass
class Arrived:
    """One request as it came in; `at` is of `time.monotonic()`."""

    number: int
    connection: int
    path: str
    headers: dict[str, str]
    body: bytes
    at: float
    writer: asyncio.StreamWriter = field(repr=False)


Script = Callable[[Arrived], Awaitable[bytes | None]]
"""Gives the bytes to answer with; None: the connection is closed instead."""


def reply(body: bytes = b"{}", status: int = 200, *headers: str) -> bytes:
    """An answer with a length."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def classification(arrived: Arrived, *, version: str = "7", degraded: bool = False) -> bytes:
    """What the endpoint answers."""
    return orjson.dumps(
        {
            "posting_id": "p", "request_id": arrived.headers["x-request-id"], "label": "a", "probability": 0.5,
            "model": {"name": "m", "version": version}, "degraded": degraded, "degraded_reasons": [],
            "timings_ms": {"queue": 1.0, "total": 3.0},
        }
    )  # fmt: skip


class ScriptedServer:
    """Runs a script for each request. A context manager.

    Attributes:
        script: May be replaced while it runs.
        arrived: All requests so far.
        connections: How many were opened.
        most_at_a_time: Requests that were under way together.
    """

    def __init__(self, script: Script, *, tls: ssl.SSLContext | None = None) -> None:
        self.arrived: list[Arrived] = []
        self.connections = 0
        self.most_at_a_time = 0
        self._under_way = 0
        self.script, self._tls = script, tls
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever)

    @property
    def url(self) -> str:
        """Its address, with a route."""
        return f"{'http' if self._tls is None else 'https'}://127.0.0.1:{self.port}/v1/classify"

    def __enter__(self) -> ScriptedServer:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)

    async def _close(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        connection, self.connections = self.connections, self.connections + 1
        try:
            while await self._answer(reader, writer, connection):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # the client has gone
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        if first.startswith("GET "):  # whether anybody is there; no part of the script
            writer.write(reply())
            await writer.drain()
            return True
        body = await reader.readexactly(int(headers["content-length"]))
        arrived = Arrived(len(self.arrived), connection, first.split()[1], headers, body, time.monotonic(), writer)
        self.arrived.append(arrived)
        self._under_way += 1
        self.most_at_a_time = max(self.most_at_a_time, self._under_way)
        try:
            answer = await self.script(arrived)
        finally:
            self._under_way -= 1
        if answer is None:
            return False
        writer.write(answer)
        await writer.drain()
        return b"connection: close" not in answer.lower()
