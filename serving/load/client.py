"""Sends requests and notes what came of each: when they are due (open loop), or one after the other (closed loop).

The generator shares its machine with what it measures, so it is made to cost little: one thread, uvloop, httptools, an
exact timer, five numbers per request. Latency in the open loop counts from the instant at which a request was due (Gil
Tene, "How NOT to Measure Latency"), and no request waits for the answer to another.
"""

from __future__ import annotations

import asyncio
import gc
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from plumbline.errors import UserError
from plumbline.system import raise_open_files
from serving.load.exchanges import REFUSED, UNREACHABLE, Exchanges, Recorder
from serving.load.pool import OnAnswer, Pool
from serving.load.precise_timer import open_timer
from serving.load.target import Target, resolve

_START_DELAY_SECONDS = 0.1
_BURST = 32
"""Requests sent in one go when the generator is late; then answers are read before it goes on."""
_FILES_FOR_OTHERS = 64
_PAUSE_AFTER_NO_CONNECTION_SECONDS = 0.05


def send_all(
    url: str,
    bodies: Sequence[bytes],
    due: Sequence[float] | np.ndarray,
    *,
    request_ids: Sequence[str],
    timeout: float,
    paths: Sequence[str] | None = None,
    headers: Mapping[str, str] | None = None,
    on_answer: OnAnswer | None = None,
    on_begin: Callable[[Recorder], None] | None = None,
    tls: ssl.SSLContext | None = None,
    most_connections: int | None = None,
    start: float | None = None,
) -> Exchanges:
    """Open loop: sends each body at its due time, over as many kept-alive connections as it takes.

    Args:
        url: Where to POST, http or https.
        bodies: One per due time.
        due: Seconds from the start, ascending.
        request_ids: One per due time, sent as X-Request-ID.
        timeout: Seconds after which a request is given up, from its being taken up.
        paths: One per due time, in place of the address's own.
        headers: Further headers of each request.
        on_answer: Called with number, status and body of each answer; without it bodies are not read.
        on_begin: Called with the notes before the first request; they grow while the run goes on.
        tls: For https; default: the system's authorities.
        most_connections: Default: as many as the process may have files.
        start: Instant of `time.monotonic()` from which due times count; default: at once.

    Raises:
        UserError: The address or a header cannot be used, or the lengths differ.
        DependencyError: The host has no address.
    """
    instants = np.asarray(due, dtype=np.float64)
    if {len(bodies), len(request_ids), len(bodies if paths is None else paths)} != {len(instants)}:
        raise UserError(f"There are {len(instants)} due times: give as many bodies, ids and paths.")
    if np.any(np.diff(instants) < 0):
        raise UserError("The due times are not in ascending order.")
    target = resolve(url, headers, tls=tls)

    async def run() -> Exchanges:
        wires = [target.path] * len(instants) if paths is None else [path.encode("latin-1") for path in paths]
        loop = _OpenLoop(target, timeout, on_answer, most_connections or connection_limit(), start)
        loop.plan(instants, wires, request_ids, bodies)
        if on_begin is not None:
            on_begin(loop.recorder)
        return await loop.run()

    return _on_own_loop(run)


def send_closed(
    url: str,
    bodies: Sequence[bytes],
    *,
    clients: int,
    seconds: float,
    timeout: float,
    headers: Mapping[str, str] | None = None,
    on_answer: OnAnswer | None = None,
    tls: ssl.SSLContext | None = None,
    id_prefix: str = "closed",
) -> Exchanges:
    """Closed loop: each client sends its next request when the one before has ended.

    A request is due when its client is ready to send it, so latency here is service time, and a stalled server
    receives fewer requests: throughput is what a closed loop measures.

    Args:
        url: Where to POST, http or https.
        bodies: Sent in turn, again from the first after the last.
        clients: How many requests are under way at a time.
        seconds: How long requests are started; those under way then are waited for.
        timeout: Seconds after which a request is given up.
        headers: Further headers of each request.
        on_answer: Called with number, status and body of each answer.
        tls: For https; default: the system's authorities.
        id_prefix: Request ids are this, a dash and a number.

    Raises:
        UserError: The address, a header or a number cannot be used.
        DependencyError: The host has no address.
    """
    if clients < 1 or seconds <= 0 or not bodies:
        raise UserError("Give at least one client, one body, and more than 0 seconds.")
    target = resolve(url, headers, tls=tls)

    async def run() -> Exchanges:
        return await _ClosedLoop(target, bodies, clients, seconds, timeout, on_answer, id_prefix).run()

    return _on_own_loop(run)


def _on_own_loop(run: Callable[[], Any]) -> Exchanges:
    import uvloop

    # Nothing that exists now is garbage: collections during the run stay short.
    gc.collect()
    gc.freeze()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            exchanges: Exchanges = runner.run(run())
            return exchanges
    finally:
        gc.unfreeze()


def connection_limit() -> int:
    """Connections that this process may have, after raising its limit of open files as far as it may."""
    return max(1, raise_open_files() - _FILES_FOR_OTHERS)


class _Loop:
    """What both loops share: the pool, the notes, the end. A fault in a callback ends the run; none is swallowed."""

    def __init__(self, target: Target, timeout: float, on_answer: OnAnswer | None, most: int) -> None:
        self.loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = self.loop.create_future()
        self.recorder = Recorder()
        self.ended = 0
        self.pool = Pool(
            self.loop, target, self.recorder, timeout=timeout, most=most, on_end=self.on_end, on_answer=on_answer
        )
        self.target = target
        self.start = time.monotonic()
        self.loop.set_exception_handler(self._fault)

    def begin(self) -> None:
        """Starts sending; `self.start` is near."""
        raise NotImplementedError

    def on_end(self, number: int) -> None:
        """Called after a request has ended."""
        raise NotImplementedError

    async def run(self) -> Exchanges:
        """Runs to the end."""
        cpu = time.thread_time()
        try:
            self.begin()
            await self.done
        finally:
            cpu = time.thread_time() - cpu
            await self.pool.close()
        return self.recorder.freeze(self.start, cpu)

    def _fault(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not self.done.done():
            self.done.set_exception(context.get("exception") or RuntimeError(context["message"]))


class _OpenLoop(_Loop):
    def __init__(
        self, target: Target, timeout: float, on_answer: OnAnswer | None, most: int, start: float | None
    ) -> None:
        super().__init__(target, timeout, on_answer, most)
        self.start = time.monotonic() + _START_DELAY_SECONDS if start is None else start
        self._timer = open_timer(self.loop, self._send_due)
        self._next = 0

    def plan(
        self, due: np.ndarray, paths: Sequence[bytes], request_ids: Sequence[str], bodies: Sequence[bytes]
    ) -> None:
        """What is to be sent; all have the same length."""
        self._due = (self.start + due).tolist()
        self._paths, self._request_ids, self._bodies = paths, request_ids, bodies

    def begin(self) -> None:
        if self._due:
            self._timer.arm(self._due[0])
        else:
            self.done.set_result(None)

    async def run(self) -> Exchanges:
        try:
            return await super().run()
        finally:
            self._timer.close()

    def on_end(self, number: int) -> None:  # noqa: ARG002
        self.ended += 1
        if self.ended == len(self._due) and not self.done.done():
            self.done.set_result(None)

    def _send_due(self) -> None:
        due, begin, send, request = self._due, self.recorder.begin, self.pool.send, self.target.request
        total = len(due)
        for _ in range(_BURST):
            now = time.monotonic()
            if self._next == total or due[self._next] > now:
                break
            number = begin(due[self._next], now)
            self._next += 1
            send(number, request(self._paths[number], self._request_ids[number], self._bodies[number]))
        if self._next < total:
            self._timer.arm(due[self._next])


class _ClosedLoop(_Loop):
    def __init__(
        self,
        target: Target,
        bodies: Sequence[bytes],
        clients: int,
        seconds: float,
        timeout: float,
        on_answer: OnAnswer | None,
        id_prefix: str,
    ) -> None:
        super().__init__(target, timeout, on_answer, clients)
        self._bodies, self._clients, self._prefix = bodies, clients, id_prefix
        self._stop = self.start + seconds

    def begin(self) -> None:
        for _ in range(self._clients):
            self._send()

    def on_end(self, number: int) -> None:
        self.ended += 1
        if time.monotonic() >= self._stop:
            if self.ended == len(self.recorder.due) and not self.done.done():
                self.done.set_result(None)
        elif self.recorder.status[number] in (REFUSED, UNREACHABLE):
            # A client that found nobody does not knock again at once: that would measure the knocking.
            self.loop.call_later(_PAUSE_AFTER_NO_CONNECTION_SECONDS, self._send)
        else:
            self._send()

    def _send(self) -> None:
        now = time.monotonic()
        number = self.recorder.begin(now, now)
        body = self._bodies[number % len(self._bodies)]
        request = self.target.request(self.target.path, f"{self._prefix}-{number}", body)
        self.pool.send(number, request)
