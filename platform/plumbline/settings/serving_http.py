"""Limits of the HTTP server: what one client may hold, send and wait for."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class HttpSettings(BaseModel):
    """Limits of the HTTP server: what one client may hold, send and wait for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_connections: int = Field(default=4096, ge=1)
    """Connections at once. The first request on one more is answered 503, and the connection is closed."""

    max_requests: int = Field(default=4096, ge=1)
    """Requests at once, in whatever state: one more is answered 503 at its headers."""

    max_header_bytes: int = Field(default=16 * 1024, ge=1024)
    """Request line and headers together; more are answered 431, and the connection is closed."""

    max_json_depth: int = Field(default=16, ge=2, le=200)
    """Arrays and objects inside each other in a body; deeper ones are refused with 400."""

    header_seconds: float = Field(default=5.0, gt=0)
    """Time from the first byte of a request until its headers are complete; late ones are answered 408."""

    body_seconds: float = Field(default=10.0, gt=0)
    """Time from a request's headers until its body is complete; late ones are answered 408."""

    answer_seconds: float = Field(default=10.0, gt=0)
    """Time that a client may leave an answer unread before its connection is cut."""

    keep_alive_seconds: float = Field(default=75.0, gt=0)
    """Time that a connection may be idle between requests. Longer than load balancers keep theirs, so that it is they
    who close: a server that closes first loses the request that is on its way."""
