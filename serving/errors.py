"""Errors inside the endpoint. They become problem documents; none of them leaves the process."""

from __future__ import annotations


class RequestRefusedError(Exception):
    """A request that gets no prediction: status and reason are the client's answer.

    Args:
        status: HTTP status code.
        title: Kind of problem, the same for every request of its kind.
        detail: What is wrong with this request, and what to do.
        fields: Faults as (field, reason).
        retry_after: Seconds after which a retry makes sense.
    """

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        *,
        fields: list[tuple[str, str]] | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail
        self.fields = fields or []
        self.retry_after = retry_after


class UnavailableError(Exception):
    """The endpoint cannot answer anything now (its log cannot be written), whatever the request."""
