"""Where requests go: an http(s) address, taken apart once, and the bytes that all requests to it begin with."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

from plumbline.errors import DependencyError, UserError
from serving.address import split_address

REQUEST_ID_HEADER = "X-Request-ID"
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_OURS = {"host", "content-length", "transfer-encoding", "connection", REQUEST_ID_HEADER.lower()}


@dataclass(frozen=True)
class Target:
    """A resolved address.

    Attributes:
        host: As the address names it; for TLS.
        path: The address's own.
        addresses: (numeric address, port), in the order of preference.
        tls: None for http.
        head: Headers, up to the request id.
    """

    host: str
    path: bytes
    addresses: tuple[tuple[str, int], ...]
    tls: ssl.SSLContext | None
    head: bytes

    def request(self, path: bytes, request_id: str, body: bytes) -> bytes:
        """The request as it goes over the wire."""
        return b"POST %b%b%b\r\nContent-Length: %d\r\n\r\n%b" % (
            path, self.head, request_id.encode(), len(body), body,
        )  # fmt: skip


def resolve(url: str, headers: Mapping[str, str] | None = None, *, tls: ssl.SSLContext | None = None) -> Target:
    """Takes an address apart and looks its host up.

    Args:
        url: http or https.
        headers: Sent with each request, beside Content-Type: application/json, which they may replace.
        tls: For https; default: the system's authorities.

    Raises:
        UserError: The address or a header cannot be used.
        DependencyError: The host has no address.
    """
    parts = split_address(url)
    host, port = str(parts.hostname), parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise DependencyError(f"{host} has no address ({error}). Is the name right?") from error
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [" HTTP/1.1", f"Host: {parts.netloc.rpartition('@')[2]}"]
    lines += [f"{name}: {value}" for name, value in _checked({"Content-Type": "application/json"}, headers or {})]
    head = ("\r\n".join(lines) + f"\r\n{REQUEST_ID_HEADER}: ").encode("latin-1")
    addresses = tuple(dict.fromkeys((str(address[0]), port) for *_, address in found))
    context = (tls or ssl.create_default_context()) if parts.scheme == "https" else None
    return Target(host, path.encode("latin-1"), addresses, context, head)


def _checked(defaults: Mapping[str, str], given: Mapping[str, str]) -> list[tuple[str, str]]:
    """Headers by lower-case name, the given ones last to win. Values are never repeated in errors: they may be keys."""
    merged = {name.lower(): (name, value) for name, value in (*defaults.items(), *given.items())}
    for name, (spelt, value) in merged.items():
        if not spelt or not set(spelt) <= _TOKEN:
            raise UserError(f"{spelt!r} is not the name of a header.")
        if name in _OURS:
            raise UserError(f"The header {spelt} is the generator's own: leave it out.")
        if any(not 32 <= ord(sign) < 256 and sign != "\t" for sign in value):
            raise UserError(f"The value of the header {spelt} has characters that a header cannot carry.")
    return list(merged.values())
