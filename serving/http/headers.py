"""What the endpoint reads from a request's headers."""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Mapping

from serving.errors import RequestRefusedError

REQUEST_ID = b"x-request-id"
BUDGET = b"x-latency-budget-ms"
ASSIGNMENT_KEY = b"x-assignment-key"

MAX_BUDGET_MS = 60_000
MAX_ID_CHARACTERS = 128
_VISIBLE = re.compile(rb"[\x21-\x7e]{1,128}")
_OURS = secrets.token_hex(8)
_numbers = itertools.count()


def new_request_id() -> str:
    """An id of our own: 64 random bits of this process and a number. A tenth of the time of a random UUID."""
    return f"{_OURS}-{next(_numbers):x}"


def request_id_of(headers: Mapping[bytes, bytes]) -> str:
    """The client's id of the request, or a new one.

    Raises:
        RequestRefusedError: 400, it is empty, too long, or not visible ASCII.
    """
    given = headers.get(REQUEST_ID)
    return new_request_id() if given is None else _identifier("X-Request-ID", given)


def assignment_key_of(headers: Mapping[bytes, bytes]) -> str:
    """What keeps the client's requests with one variant; empty if it gives nothing.

    Raises:
        RequestRefusedError: 400, it is empty, too long, or not visible ASCII.
    """
    given = headers.get(ASSIGNMENT_KEY)
    return "" if given is None else _identifier("X-Assignment-Key", given)


def budget_of(headers: Mapping[bytes, bytes], default: float) -> float:
    """The latency budget in seconds: the client's, else the default.

    Raises:
        RequestRefusedError: 400, it is no number of milliseconds above 0 and up to 60,000.
    """
    given = headers.get(BUDGET)
    if given is None:
        return default
    try:
        milliseconds = float(given)
    except ValueError:
        milliseconds = 0.0
    if not 0 < milliseconds <= MAX_BUDGET_MS:
        raise _wrong("X-Latency-Budget-Ms", f"give milliseconds above 0, up to {MAX_BUDGET_MS}")
    return milliseconds / 1000


def check_json(headers: Mapping[bytes, bytes]) -> None:
    """Refuses a body that says that it is something else than JSON; without a word about it, it is taken for JSON.

    Raises:
        RequestRefusedError: 415.
    """
    kind = headers.get(b"content-type")
    if kind is not None and kind != b"application/json":
        kind = kind.partition(b";")[0].strip().lower()
        if kind != b"application/json" and not kind.endswith(b"+json"):
            raise RequestRefusedError(
                415, "unsupported-media-type", "The body is not announced as JSON. Send Content-Type: application/json."
            )
    if headers.get(b"content-encoding", b"identity") != b"identity":
        raise RequestRefusedError(
            415, "unsupported-media-type", "The body is compressed. Send it without Content-Encoding."
        )


def _identifier(name: str, value: bytes) -> str:
    if not _VISIBLE.fullmatch(value):
        raise _wrong(name, f"give 1 to {MAX_ID_CHARACTERS} visible ASCII characters")
    return value.decode("ascii")


def _wrong(name: str, what: str) -> RequestRefusedError:
    return RequestRefusedError(400, "invalid-header", f"The header {name} has a wrong value: {what}.")
