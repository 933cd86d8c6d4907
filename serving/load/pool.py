"""Connections to one target, as many as are needed, and the requests that wait for one."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from serving.load.connection import IDLE, BodyKeepingConnection, Connection
from serving.load.exchanges import REFUSED, TIMEOUT, UNREACHABLE, Recorder
from serving.load.target import Target

OnAnswer = Callable[[int, int, bytes], None]
"""Called with number, status and body of each answer."""


class Pool:
    """Sends requests over idle connections, the one used last first; opens another when all are busy.

    Nothing is sent twice, and no two requests share a connection at a time.

    Args:
        loop: The running loop.
        target: Where to.
        recorder: Where outcomes are noted.
        timeout: Seconds that a request may take from the moment at which it is given to the pool.
        most: Connections at most; further requests wait.
        on_end: Called after each request has ended, whatever came of it.
        on_answer: Called with each answer; None: bodies are not read.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        target: Target,
        recorder: Recorder,
        *,
        timeout: float,
        most: int,
        on_end: Callable[[int], None],
        on_answer: OnAnswer | None,
    ) -> None:
        self.connections: set[Connection] = set()
        self._loop, self._target, self._recorder = loop, target, recorder
        self._timeout, self._most = timeout, most
        self._on_end, self._on_answer = on_end, on_answer
        self._idle: list[Connection] = []
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._opening: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._preferred = 0
        self._sweep_seconds = min(0.1, max(0.005, timeout / 20))
        self._sweeper = loop.call_later(self._sweep_seconds, self._sweep)

    def send(self, number: int, request: bytes) -> None:
        """Sends a request that the recorder knows by `number`."""
        if self._idle:
            self._write(self._idle.pop(), number, request)
        else:
            self._waiting.append((number, request))
            self._open()

    async def close(self) -> None:
        """Drops all connections."""
        self._sweeper.cancel()
        self._waiting.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in tuple(self.connections):
            connection.close()
        await asyncio.sleep(0)

    # What connections tell.

    def opened(self, connection: Connection) -> None:
        """Takes a new connection in."""
        self._opening.discard(connection)
        self.connections.add(connection)
        self.idle(connection)

    def idle(self, connection: Connection) -> None:
        """Gives the connection to the request that has waited longest, or keeps it."""
        if self._waiting:
            self._write(connection, *self._waiting.popleft())
        else:
            self._idle.append(connection)

    def answered(self, number: int, status: int, ended: float, body: bytes) -> None:
        """Notes an answer."""
        self._recorder.ended[number] = ended
        self._recorder.status[number] = status
        if self._on_answer is not None:
            self._on_answer(number, status, body)
        self._on_end(number)

    def failed(self, number: int, kind: int) -> None:
        """Notes that there will be no answer."""
        self._recorder.ended[number] = time.monotonic()
        self._recorder.status[number] = kind
        self._on_end(number)

    def lost(self, connection: Connection) -> None:
        """Forgets the connection, and replaces it where requests wait."""
        self.connections.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if self._waiting:
            self._open()

    def retry_after(self, number: int, value: bytes) -> None:
        """Notes how long the server asks to wait; dates are not taken."""
        if value.isdigit():
            self._recorder.retry_after[number] = float(value)

    # Inside.

    def _write(self, connection: Connection, number: int, request: bytes) -> None:
        now = time.monotonic()
        self._recorder.sent[number] = now
        connection.send(number, request, self._recorder.started[number] + self._timeout)

    def _open(self) -> None:
        if len(self._opening) < len(self._waiting) and len(self.connections) + len(self._opening) < self._most:
            connection = Connection(self) if self._on_answer is None else BodyKeepingConnection(self)
            self._opening.add(connection)
            task = self._loop.create_task(self._connect(connection))
            self._tasks.add(task)
            task.add_done_callback(self._connected)

    def _connected(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error

    async def _connect(self, connection: Connection) -> None:
        failure = UNREACHABLE
        addresses = self._target.addresses
        for turn in range(len(addresses)):
            place = (self._preferred + turn) % len(addresses)
            try:
                async with asyncio.timeout(self._timeout):
                    await self._loop.create_connection(
                        lambda: connection,
                        *addresses[place],
                        ssl=self._target.tls,
                        server_hostname=self._target.host if self._target.tls else None,
                    )
            except ConnectionRefusedError:
                failure = REFUSED
            except TimeoutError:
                failure = TIMEOUT
            except OSError:  # TLS's errors are among them
                failure = UNREACHABLE
            else:
                self._preferred = place
                return
        self._opening.discard(connection)
        if self._waiting:
            self.failed(self._waiting.popleft()[0], failure)
        if self._waiting:
            self._open()

    def _sweep(self) -> None:
        """Gives up what has taken too long. One look at all is cheaper than a timer per request."""
        now = time.monotonic()
        for connection in tuple(self.connections):
            if connection.number != IDLE and connection.deadline <= now:
                connection.give_up(TIMEOUT)
        while self._waiting and self._recorder.started[self._waiting[0][0]] + self._timeout <= now:
            self.failed(self._waiting.popleft()[0], TIMEOUT)
        self._sweeper = self._loop.call_later(self._sweep_seconds, self._sweep)
