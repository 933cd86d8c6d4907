"""Leaving without a failed request: once a file exists, clients are sent elsewhere while they are still answered.

A pod that is to go is taken out of its service at once, but clients keep the connections that they have. With
`Connection: close` on each answer they open a new one, to another pod, before this one stops.
"""

from __future__ import annotations

import os
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.http.exchange import ANSWER
from serving.http.problems import Headers

_CLOSE = (b"connection", b"close")


class Drain:
    """Whether this endpoint is asked to leave.

    Args:
        file: Its existence is the request; None is never.
    """

    def __init__(self, file: Path | None) -> None:
        self._path = None if file is None else os.fspath(file)

    @property
    def possible(self) -> bool:
        """Whether a file is named."""
        return self._path is not None

    @property
    def requested(self) -> bool:
        """Whether the file exists: one look at the file system, microseconds."""
        return self._path is not None and os.path.exists(self._path)  # noqa: PTH110 - the hot path


class ClosingConnections:
    """ASGI middleware: while draining, each answer asks the client to close its connection."""

    def __init__(self, app: ASGIApp, drain: Drain) -> None:
        self._app = app
        self._drain = drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        # Asked as late as here: a request that began before the drain must not keep its connection either.
        answer = scope.get(ANSWER)
        if answer is not None:

            def answer_closing(status: int, headers: Headers, body: bytes) -> bool:
                return bool(answer(status, [*headers, _CLOSE] if self._drain.requested else headers, body))

            scope = {**scope, ANSWER: answer_closing}

        async def send_closing(message: Message) -> None:
            if message["type"] == "http.response.start" and self._drain.requested:
                message["headers"] = [*message.get("headers", ()), _CLOSE]
            await send(message)

        await self._app(scope, receive, send_closing)
