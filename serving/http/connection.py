"""One client's connection: uvicorn's protocol with limits on what a client may hold, and a cheap way to refuse.

Why here and not in the application: an overloaded service must refuse for much less than an answer costs, and the end
of the headers is the one place before a body is read, a task is made and an application is called. It is also here
that slow clients are seen, of which no application knows.
"""

from __future__ import annotations

import asyncio
import logging
import urllib.parse
from typing import Any

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from serving.errors import RequestRefusedError
from serving.http.exchange import ANSWER, RECEIVED, Exchange, Outlet, Refused
from serving.http.gate import Gate, Phase, headers_too_large, too_many, too_slow
from serving.http.glance import glance
from serving.http.problems import problem_bytes
from serving.http.upgrade import head_without_upgrade

_log = logging.getLogger(__name__)

_VERSIONS = ("1.1", "1.0")
_BETWEEN_REQUESTS = (Phase.NEW, Phase.IDLE)


class Connection(HttpToolsProtocol):
    """One client's connection.

    Args:
        config: uvicorn's.
        server_state: uvicorn's.
        app_state: uvicorn's.
        gate: Limits, shedding, drain.
        _loop: The event loop.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        gate: Gate,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._gate = gate
        self._limits = gate.limits
        self._phase = Phase.NEW
        self._since = self.loop.time()
        self._head_bytes = 0
        self._received_bytes = 0
        self._framing_bytes = 0
        self._heads_begun = 0
        self._last_word: RequestRefusedError | None = None
        self._unread_since: float | None = None
        self._surplus = False
        self._task: asyncio.Task[None] | None = None
        self._leaving = False

    # What the transport tells.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._outlet = Outlet(transport, self._close)
        self._surplus = len(self.connections) > self._limits.max_connections

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._task is not None and not self._task.done():
            self._task.cancel()  # nobody waits for the answer any more: its query leaves the queue

    def data_received(self, data: bytes) -> None:
        if self._phase is Phase.LINGER or self._last_word is not None:
            return
        if self._gate.shedder.standing and self._refuse_at_a_glance(data):
            return
        self._received_bytes = len(data)
        self._framing_bytes += len(data)
        self._heads_begun = 0
        began_with_head = self._phase in _BETWEEN_REQUESTS
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            # What a callback raised stands in its context: it ends the parsing.
            ours = error.__context__ if isinstance(error.__context__, RequestRefusedError) else None
            self._end(ours or RequestRefusedError(400, "invalid-http", "This is not HTTP. Check what is sent here."))
            return
        if self._phase is Phase.HEAD and self._heads_begun <= began_with_head:  # else other requests stand before it
            self._head_bytes += len(data)
        limit = self._limits.max_header_bytes
        if (self._phase is Phase.HEAD and self._head_bytes > limit) or (
            self._phase is Phase.BODY and self._framing_bytes > limit
        ):
            self._end(headers_too_large(limit))

    def _feed(self, data: bytes) -> None:
        """Parses what was read.

        A request that asks for another protocol is answered in this one (RFC 9110, 7.8), and is read again without that
        wish: what follows its headers would be the other protocol's for the parser, and is the request's body.
        """
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
                head = head_without_upgrade(
                    self.parser.get_method(), self.url, self.parser.get_http_version(), self.headers
                )
                self.parser = httptools.HttpRequestParser(self)
                self.parser.feed_data(head)
            else:
                return

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread_since = self.loop.time()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unread_since = None

    # What the parser tells.

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._enter(Phase.HEAD)
        self._head_bytes = 0
        self._heads_begun += 1

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._phase is not Phase.HEAD:
            return  # a trailer: nobody asked for it, and it is no header (RFC 9110, 6.5.1)
        super().on_header(name, value.rstrip(b" \t"))

    def on_body(self, body: bytes) -> None:
        self._framing_bytes = 0
        super().on_body(body)

    def on_headers_complete(self) -> None:
        if self._phase is Phase.LINGER:
            return
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise RequestRefusedError(405, "method-not-allowed", "This is no proxy. Send the request itself.")
            return  # it comes again, see `_feed`
        version = self.parser.get_http_version()
        self._refuse_head(version)
        self._enter(Phase.BODY)
        self._framing_bytes = 0
        # Sent before the answer to the last one: it waits its turn.
        behind = self.cycle is not None and not self.cycle.response_complete
        keep_alive = version != "1.0" and self.parser.should_keep_alive() and not self._leaving
        if not behind and self._turn_away(keep_alive):
            return
        exchange = self._exchange(version, keep_alive)
        self.cycle = exchange
        if behind:
            self.flow.pause_reading()
            self.pipeline.appendleft((exchange, self.app))
        else:
            self._start_asgi_task(exchange, self.app)

    def _refuse_head(self, version: str) -> None:
        """Raises what the parser lets pass and nobody should (RFC 9112, 2.3, 3.2 and 5; RFC 9110, 4.2.4)."""
        limit = self._limits.max_header_bytes
        if self._head_bytes + self._received_bytes > limit and self._header_bytes() > limit:
            raise headers_too_large(limit)
        if version not in _VERSIONS:
            raise RequestRefusedError(505, "http-version-not-supported", "Speak HTTP/1.1 here.")
        hosts = 0
        for name, value in self.headers:
            hosts += name == b"host"
            if name == b"transfer-encoding" and value.lower() != b"chunked":
                raise RequestRefusedError(501, "not-implemented", "The body is encoded. Send it plain, or in chunks.")
        if version == "1.1" and hosts != 1:
            raise RequestRefusedError(400, "invalid-http", "A request has one header Host. Send one.")
        if b"#" in self.url:
            raise RequestRefusedError(400, "invalid-http", "The path has a fragment. Send the path without it.")

    def _turn_away(self, keep_alive: bool) -> bool:
        """Refuses a request that there is no room or no time for; whether it did."""
        if self._surplus or len(self.tasks) >= self._limits.max_requests:
            error = too_many("connections" if self._surplus else "requests")
            self._refuse(error, self._gate.shedder.count(error), close=self._surplus)
            return True
        refusal = self._gate.shedder.refusal(self.url, self.headers)
        if refusal is None:
            return False
        # A client that waits for leave to send its body sends none after a refusal: what follows could be either.
        self._refuse(*refusal, close=self.expect_100_continue or not keep_alive)
        return True

    def _refuse_at_a_glance(self, data: bytes) -> bool:
        """Refuses a request that needs no parsing to be refused; whether it did."""
        if (
            self._phase not in _BETWEEN_REQUESTS
            or self._surplus
            or self._leaving
            or len(data) > self._limits.max_header_bytes
        ):
            return False
        seen = glance(data, self._gate.shedder.standing)
        if seen is None:
            return False
        refusal, request_id = seen
        self.server_state.total_requests += 1
        self.transport.write(refusal.copy(request_id, self.server_state.default_headers))
        self._enter(Phase.IDLE)
        return True

    def _exchange(self, version: str, keep_alive: bool) -> Exchange:
        scope = self.scope
        scope["method"] = self.parser.get_method().decode("ascii")
        scope["http_version"] = version
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        scope["path"] = urllib.parse.unquote(path) if "%" in path else path
        scope["raw_path"] = url.path
        scope["query_string"] = url.query or b""
        exchange = Exchange(
            scope=scope,
            transport=self._outlet,  # type: ignore[arg-type]  # what it uses of it
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=keep_alive,
            on_response=self.on_response_complete,
        )
        scope[RECEIVED] = self._gate.shedder.arrived()  # type: ignore[literal-required]
        scope[ANSWER] = exchange.answer  # type: ignore[literal-required]
        return exchange

    def on_message_complete(self) -> None:
        if self._phase is Phase.LINGER or self.parser.should_upgrade():
            return
        super().on_message_complete()
        answered = self.cycle is None or self.cycle.response_complete
        self._enter(Phase.IDLE if answered else Phase.ANSWER)
        if answered and self._leaving:
            self.transport.close()

    # What becomes of a request.

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._task = task = self.loop.create_task(self._run(cycle, app))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _run(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        try:
            await app(cycle.scope, cycle.receive, cycle.send)
        except asyncio.CancelledError:
            if not cycle.disconnected and not cycle.response_complete:
                self.transport.abort()
        except Exception:  # noqa: BLE001 - uvicorn's loop must outlive any request
            _log.exception("The application broke.")
            self.transport.abort()
        else:
            if not cycle.disconnected and not cycle.response_complete:
                _log.error("The application did not answer %s.", cycle.scope["path"])
                self.transport.abort()

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing() or self._phase is Phase.LINGER:
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._last_word is not None:
            self._refuse(self._last_word, self._gate.shedder.count(self._last_word), close=True)
        elif self._phase is Phase.ANSWER:
            self._enter(Phase.IDLE)

    def _refuse(self, error: RequestRefusedError, request_id: str, *, close: bool) -> None:
        """Answers at the headers.

        The connection stays: its body is read and dropped, which costs next to nothing, since bodies are small and
        mostly arrive together with their headers. Closing it would cost the client a new connection, and the endpoint
        accepting it, at the very time when it has no time to spare.
        """
        close = close or self._gate.drain.requested
        self.cycle = Refused()  # type: ignore[assignment]
        self.server_state.total_requests += 1
        head_only = self._phase is Phase.BODY and self.parser.get_method() == b"HEAD"
        headers = self.server_state.default_headers
        self.transport.write(problem_bytes(error, request_id, headers, close=close, head_only=head_only))
        if close:
            self._close()

    def _end(self, error: RequestRefusedError) -> None:
        """Answers a client that cannot be understood or waited for, and closes.

        The requests before are answered first. The answer to this one is cut off, if it has begun.
        """
        if self._phase is Phase.LINGER or self._last_word is not None:
            return  # said already; the rest of what was read is no better
        if self.cycle is not None and not self.cycle.response_complete:
            if self._phase is not Phase.BODY or self.pipeline:
                if self._phase is Phase.BODY:
                    self.pipeline.popleft()  # the one that is being read
                self._last_word = error
                self._enter(Phase.ANSWER)
                return
            if self.cycle.response_started:
                self.transport.abort()
                return
            self.cycle.disconnected = True
            if self._task is not None:
                self._task.cancel()
        self._refuse(error, self._gate.shedder.count(error), close=True)

    def _close(self) -> None:
        """Closes once the client has had the chance to read its answer."""
        if self.transport.is_closing():
            return
        if self._phase in (Phase.HEAD, Phase.BODY) or self._last_word is not None:
            self.flow.resume_reading()
            self.transport.write_eof()
            self._enter(Phase.LINGER)
        else:
            self.transport.close()

    def shutdown(self) -> None:
        """Called by uvicorn when it stops: a request that is arriving is answered first."""
        self._leaving = True
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
        elif self._phase not in (Phase.HEAD, Phase.BODY):
            self.transport.close()

    # Time.

    def expire(self, now: float) -> None:
        """Ends the connection if it has been waiting for its client for too long; called every moment.

        Args:
            now: The loop's time.
        """
        if self._unread_since is not None and now - self._unread_since > self._limits.answer_seconds:
            self.transport.abort()
            return
        if self.flow.read_paused or now - self._since <= self._gate.seconds.get(self._phase, now):
            return
        if self._phase in (Phase.NEW, Phase.IDLE, Phase.LINGER):
            self.transport.abort() if self.transport.get_write_buffer_size() else self.transport.close()
        elif self._phase is Phase.HEAD:
            self._end(too_slow("headers", self._limits.header_seconds))
        elif self.cycle is not None and self.cycle.response_complete:
            self.transport.abort()  # answered, and still sending
        else:
            self._end(too_slow("body", self._limits.body_seconds))

    def _enter(self, phase: Phase) -> None:
        if self._phase is Phase.LINGER:  # which nothing follows, whatever else was sent
            return
        self._phase = phase
        self._since = self.loop.time()

    def _header_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
