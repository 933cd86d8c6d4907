"""Reads a request's body, no further than its limit."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from serving.errors import RequestRefusedError


async def read_body(headers: Mapping[bytes, bytes], receive: Receive, limit: int) -> bytes:
    """The whole body.

    Raises:
        RequestRefusedError: 413, it is larger than `limit` bytes, or says that it will be.
        ClientDisconnect: The client has gone.
    """
    announced = headers.get(b"content-length", b"0")
    if len(announced) > len(str(limit)) or int(announced) > limit:
        raise _too_large(limit)
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        body: bytes = message.get("body", b"")
        if len(body) > limit:
            raise _too_large(limit)
        return body
    parts: list[bytes] = []
    size = 0
    while True:
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)
        message = await receive()


def _too_large(limit: int) -> RequestRefusedError:
    return RequestRefusedError(
        413, "body-too-large", f"The body is larger than {limit} bytes. Shorten it, or send fewer postings at once."
    )
