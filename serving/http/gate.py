"""What all connections of a listener share: limits, and what is said to clients that pass them."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from plumbline.settings.serving_http import HttpSettings
from serving.errors import RequestRefusedError
from serving.http.drain import Drain
from serving.http.shedding import Shedder

_LINGER_SECONDS = 2.0
"""How long a closing connection is still read from, so that the client gets to read its answer: closing a socket that
holds unread bytes resets it, and a reset discards what the client has not read yet."""


class Phase(enum.Enum):
    """What a connection waits for."""

    NEW = "first byte"
    HEAD = "rest of the headers"
    BODY = "rest of the body"
    ANSWER = "answer"
    IDLE = "next request"
    LINGER = "the client to close"


@dataclass(frozen=True, slots=True)
class Gate:
    """What all connections of a listener share."""

    limits: HttpSettings
    shedder: Shedder
    drain: Drain
    seconds: dict[Phase, float] = field(init=False)
    """How long each phase may last."""

    def __post_init__(self) -> None:
        limits = self.limits
        seconds = {
            Phase.NEW: limits.header_seconds,
            Phase.HEAD: limits.header_seconds,
            Phase.BODY: limits.body_seconds,
            Phase.IDLE: limits.keep_alive_seconds,
            Phase.LINGER: _LINGER_SECONDS,
        }
        object.__setattr__(self, "seconds", seconds)


def headers_too_large(limit: int) -> RequestRefusedError:
    """Refuses headers of more than so many bytes."""
    return RequestRefusedError(431, "headers-too-large", f"The headers are larger than {limit} bytes. Send fewer.")


def too_many(what: str) -> RequestRefusedError:
    """Refuses one connection or request more than there may be."""
    return RequestRefusedError(
        503, f"too-many-{what}", f"Too many {what} at once. Retry later, send less, or add replicas.", retry_after=1
    )


def too_slow(what: str, seconds: float) -> RequestRefusedError:
    """Refuses headers or a body that took longer than so many seconds."""
    return RequestRefusedError(408, "too-slow", f"The {what} took longer than {seconds:g} s. Send them faster.")
