"""Requests that would rather speak another protocol, such as `curl --http2` and Java's HttpClient."""

from __future__ import annotations

from collections.abc import Sequence

_HOP_BY_HOP = (b"upgrade", b"http2-settings")


def head_without_upgrade(method: bytes, url: bytes, version: str, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """A request's head without its wish for another protocol (RFC 9110, 7.8), which a server may ignore.

    Args:
        method: Of the request.
        url: As it was sent.
        version: Of HTTP, such as `1.1`.
        headers: Names in lower case.
    """
    lines = [b"%s %s HTTP/%s" % (method, url, version.encode())]
    for name, value in headers:
        if name in _HOP_BY_HOP:
            continue
        if name == b"connection":
            options = [option for part in value.split(b",") if (option := part.strip()).lower() not in _HOP_BY_HOP]
            if not options:
                continue
            value = b", ".join(options)  # noqa: PLW2901
        lines.append(name + b": " + value)
    return b"\r\n".join(lines) + b"\r\n\r\n"
