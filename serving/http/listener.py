"""The HTTP server of a replica: uvicorn on our connections, its port, and its time limits."""

from __future__ import annotations

import asyncio
import errno
import functools
import socket
import time

import uvicorn
from starlette.types import ASGIApp

from plumbline.errors import PlumblineError, PortBusyError
from serving.http.connection import Connection
from serving.http.gate import Gate

_BACKLOG = 2048
_ACCEPTED_PER_ROUND = 32
"""libuv accepts one connection per listening socket and round of its loop. A round under overload takes ten
milliseconds: a hundred new connections a second, and the others wait in the kernel for seconds with their requests in
them. So the socket is listened on this many times; a connection to an idle server costs as many calls of accept."""

_PORT_PATIENCE_SECONDS = 10.0
"""How long a port is waited for that a replica before this one, killed a moment ago, still holds."""

_LONGEST_SWEEP = 1.0
_SHORTEST_SWEEP = 0.05


class HttpListener:
    """Listens on one port. Lives on the event loop that it was started on.

    Args:
        app: Answers requests.
        gate: What connections share.
        drain_seconds: Requests under way are given this long when it stops.
    """

    def __init__(self, app: ASGIApp, gate: Gate, *, drain_seconds: float) -> None:
        self._gate = gate
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=functools.partial(Connection, gate=gate),  # type: ignore[arg-type]  # it is only called
                ws="none",
                interface="asgi3",
                lifespan="on",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                backlog=_BACKLOG,
                timeout_graceful_shutdown=drain_seconds,  # type: ignore[arg-type]  # seconds for `wait_for`
            )
        )
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, host: str, port: int) -> None:
        """Listens once this returns.

        Raises:
            PortBusyError: The port stays taken.
            OSError: It cannot be listened on at all.
        """
        listening = await _bound(host, port)
        sockets = [listening, *(listening.dup() for _ in range(_ACCEPTED_PER_ROUND - 1))]
        self._tasks = [
            asyncio.create_task(self._server.serve(sockets=sockets), name="http"),
            asyncio.create_task(self._sweep(), name="http-limits"),
        ]
        while not self._server.started:
            if self._tasks[0].done():
                raise PlumblineError("The HTTP server ended while it started; its log says why.")
            await asyncio.sleep(0.01)

    def dead_because(self) -> str | None:
        """Why nobody is listened to any more; None while somebody is."""
        for task in self._tasks:
            if task.done():
                return f"the task {task.get_name()} has ended"
        if not all(server.is_serving() for server in self._server.servers):
            return "the port is not listened on"
        return None

    async def stop(self) -> None:
        """Lets requests under way be answered, then closes every connection."""
        self._server.should_exit = True
        if self._tasks:
            serving, sweeping = self._tasks
            await asyncio.wait([serving])
            sweeping.cancel()

    async def _sweep(self) -> None:
        """One look at all connections in a while: timers of their own would cost each request two calls."""
        limits = self._gate.limits
        shortest = min(limits.header_seconds, limits.body_seconds, limits.answer_seconds, limits.keep_alive_seconds)
        every = min(_LONGEST_SWEEP, max(_SHORTEST_SWEEP, shortest / 10))
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(every)
            now = loop.time()
            for connection in list(self._server.server_state.connections):
                assert isinstance(connection, Connection)
                connection.expire(now)


async def _bound(host: str, port: int) -> socket.socket:
    """A socket that is bound to the port.

    SO_REUSEADDR takes over a port whose connections have not timed out yet. SO_REUSEPORT would let two replicas share
    it without a word, and is not set.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = found[0]
    deadline = time.monotonic() + _PORT_PATIENCE_SECONDS
    while True:
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(address)
            # Two sockets may be bound to one port before either listens: only listening shows that it is ours.
            listening.listen(_BACKLOG)
        except OSError as error:
            listening.close()
            if error.errno != errno.EADDRINUSE:
                raise
            if time.monotonic() > deadline:
                raise PortBusyError(f"Port {port} on {host} is taken by another process.") from error
            await asyncio.sleep(0.05)
        else:
            listening.setblocking(False)
            return listening
