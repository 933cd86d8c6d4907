"""Problem documents: how every refusal is written (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from serving.errors import RequestRefusedError

MEDIA_TYPE = "application/problem+json"
_CONTENT_TYPE = (b"content-type", MEDIA_TYPE.encode())
_CHALLENGE = (b"www-authenticate", b'Bearer realm="plumbline"')

Headers = list[tuple[bytes, bytes]]


def problem(error: RequestRefusedError, request_id: str) -> dict[str, Any]:
    """The refusal as a problem document."""
    document: dict[str, Any] = {
        "type": f"urn:plumbline:problem:{error.title}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "request_id": request_id,
    }
    if error.fields:
        document["errors"] = [{"field": field, "reason": reason} for field, reason in error.fields]
    return document


def problem_answer(error: RequestRefusedError, request_id: str) -> tuple[Headers, bytes]:
    """Headers and body of an answer that refuses."""
    body = orjson.dumps(problem(error, request_id))
    headers: Headers = [_CONTENT_TYPE, (b"content-length", b"%d" % len(body))]
    if error.retry_after is not None:
        headers.append((b"retry-after", b"%d" % error.retry_after))
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers.append(_CHALLENGE)
    return headers, body


def problem_bytes(
    error: RequestRefusedError, request_id: str, more: Headers, *, close: bool, head_only: bool = False
) -> bytes:
    """The whole answer as it goes over the wire, for refusals that no application sees.

    Args:
        error: The refusal.
        request_id: The client's, or one of ours.
        more: Headers of every answer.
        close: Whether the connection ends with it.
        head_only: Whether HEAD was asked: the body is left out.
    """
    headers, body = problem_answer(error, request_id)
    parts = [STATUS_LINE[error.status]]
    for name, value in (*more, *headers):
        parts += (name, b": ", value, b"\r\n")
    parts += (b"connection: close\r\n\r\n" if close else b"\r\n", b"" if head_only else body)
    return b"".join(parts)
