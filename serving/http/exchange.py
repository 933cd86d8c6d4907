"""One request and its answer on a connection: uvicorn's, with a way to send a whole answer in one go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.types import Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from serving.http.problems import Headers

RECEIVED = "plumbline.received"
"""Where a scope says when its headers came (`time.monotonic()`); other servers' scopes do not."""

ANSWER = "plumbline.answer"
"""Where a scope holds the exchange's `answer`; other servers' scopes do not have it."""


class Exchange(RequestResponseCycle):
    """One request and its answer."""

    def answer(self, status: int, headers: Headers, body: bytes) -> bool:
        """Sends a whole answer: one write, instead of two messages with a look at each header.

        Args:
            status: HTTP status code.
            headers: Names in lower case, the length of the body among them; values that may stand in a header.
            body: All of it; HEAD is answered without.

        Returns:
            False if the client does not read what it was sent already: it has to be waited for, by `send`.
        """
        if self.disconnected:
            return True
        if self.flow.write_paused:
            return False
        parts = [STATUS_LINE[status]]
        for name, value in (*self.default_headers, *headers):
            if name == b"connection":
                self.keep_alive = False  # the only thing that is said of it is that it closes
            else:
                parts += (name, b": ", value, b"\r\n")
        shown = b"" if self.scope["method"] == "HEAD" else body
        parts += (b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n", shown)
        self.response_started = self.response_complete = True
        self.transport.write(b"".join(parts))
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()
        return True


class Refused:
    """Stands where uvicorn keeps the request that it is answering: this one is answered."""

    response_complete = True
    keep_alive = True

    class message_event:  # noqa: N801 - uvicorn's name
        """Nobody waits for it."""

        @staticmethod
        def set() -> None:
            """Wakes nobody."""


class Outlet:
    """The transport as an exchange sees it: closing it leaves the client time to read its answer.

    Args:
        transport: Of the connection.
        close: Closes it in that way.
    """

    __slots__ = ("close", "is_closing", "write")

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = close


async def respond(scope: Scope, send: Send, status: int, headers: Headers, body: bytes) -> None:
    """Sends a whole answer, in one go where the server can.

    Args:
        scope: Of the request.
        send: Of the request.
        status: HTTP status code.
        headers: Names in lower case, the length of the body among them.
        body: All of it.
    """
    answer = scope.get(ANSWER)
    if answer is None or not answer(status, headers, body):
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
