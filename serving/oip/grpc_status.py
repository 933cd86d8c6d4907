"""Refusals as gRPC says them."""

from __future__ import annotations

from grpc import StatusCode

from serving.errors import RequestRefusedError

# By the meaning that gRPC gives its codes: https://grpc.io/docs/guides/status-codes/. A message that is too large never
# gets here: gRPC itself refuses it as RESOURCE_EXHAUSTED.
_CODES = {
    400: StatusCode.INVALID_ARGUMENT,
    401: StatusCode.UNAUTHENTICATED,
    403: StatusCode.PERMISSION_DENIED,
    404: StatusCode.NOT_FOUND,
    422: StatusCode.INVALID_ARGUMENT,
    429: StatusCode.RESOURCE_EXHAUSTED,
    500: StatusCode.INTERNAL,
    503: StatusCode.UNAVAILABLE,
    504: StatusCode.DEADLINE_EXCEEDED,
}


def code_of(error: RequestRefusedError) -> StatusCode:
    """The status code of a refusal."""
    return _CODES[error.status]


def trailers_of(error: RequestRefusedError) -> tuple[tuple[str, str], ...]:
    """Trailing metadata: when to retry, for a client that has a retry policy (gRPC proposal A6), milliseconds."""
    if error.retry_after is None:
        return ()
    return (("grpc-retry-pushback-ms", str(1000 * error.retry_after)),)
