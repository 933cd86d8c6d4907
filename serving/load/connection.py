"""One kept-alive HTTP/1.1 connection that carries one request at a time."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol, cast

import httptools

from serving.load.exchanges import CLOSED, NOT_HTTP

IDLE = -1


class ConnectionOwner(Protocol):
    """Told what becomes of a connection and its request."""

    def opened(self, connection: Connection) -> None:
        """The connection is new, and can take a request."""

    def idle(self, connection: Connection) -> None:
        """The connection can take a request again."""

    def answered(self, number: int, status: int, ended: float, body: bytes) -> None:
        """Request `number` was answered; the last byte was there at `ended`."""

    def failed(self, number: int, kind: int) -> None:
        """Request `number` will not be answered."""

    def lost(self, connection: Connection) -> None:
        """The connection is gone or going; told twice of some."""

    def retry_after(self, number: int, value: bytes) -> None:
        """The answer to request `number` carries this Retry-After."""


class Connection(asyncio.Protocol):
    """Sends a request, parses its answer, says when the last byte of it was there. Bodies are not kept."""

    def __init__(self, owner: ConnectionOwner) -> None:
        self.number = IDLE
        self.deadline = 0.0
        self._owner = owner
        self._parser = httptools.HttpResponseParser(self)
        self._to_end_of_stream = False
        self._has_length = False

    def send(self, number: int, request: bytes, deadline: float) -> None:
        """Writes the request. Only on an idle connection."""
        self.number, self.deadline = number, deadline
        self._transport.write(request)

    def close(self) -> None:
        """Drops the connection at once."""
        self._transport.abort()
        self._owner.lost(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._owner.opened(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            raise error.__context__ or error from None  # what our own callback raised
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.give_up(NOT_HTTP)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._to_end_of_stream and exc is None and self.number != IDLE:
            self._complete(self._parser.get_status_code(), reusable=False)
        number, self.number = self.number, IDLE
        self._owner.lost(self)
        if number != IDLE:
            self._owner.failed(number, CLOSED)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser for each header."""
        size = len(name)
        if size in {14, 17}:
            self._has_length |= name.lower() in (b"content-length", b"transfer-encoding")
        elif size == 11 and name.lower() == b"retry-after" and self.number != IDLE:
            self._owner.retry_after(self.number, value)

    def on_headers_complete(self) -> None:
        """Called by the parser. An answer without a length that does not keep the connection ends with it."""
        self._to_end_of_stream = not self._has_length and not self._parser.should_keep_alive()
        self._has_length = False

    def on_message_complete(self) -> None:
        """Called by the parser at the last byte of an answer."""
        status = self._parser.get_status_code()
        if status >= 200:  # before it there may be interim answers, such as 103
            self._complete(status, reusable=self._parser.should_keep_alive())

    def _complete(self, status: int, *, reusable: bool) -> None:
        ended = time.monotonic()
        number, self.number = self.number, IDLE
        self._to_end_of_stream = False
        if number == IDLE:  # an answer that nobody asked for, such as 408 before an idle connection is closed
            self.close()
            return
        if reusable:
            self._owner.idle(self)
        else:
            self._transport.close()
        self._owner.answered(number, status, ended, self._take_body())

    def _take_body(self) -> bytes:
        return b""

    def give_up(self, kind: int) -> None:
        """Drops the connection, and the request on it with this outcome."""
        number, self.number = self.number, IDLE
        self.close()
        if number != IDLE:
            self._owner.failed(number, kind)


class BodyKeepingConnection(Connection):
    """A connection that hands the bodies of answers over, too."""

    def __init__(self, owner: ConnectionOwner) -> None:
        self._parts: list[bytes] = []
        super().__init__(owner)

    def on_body(self, part: bytes) -> None:
        """Called by the parser for each part of a body."""
        self._parts.append(part)

    def _take_body(self) -> bytes:
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts = []
        return body
