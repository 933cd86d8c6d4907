"""Answers that say what is wrong, in the form of RFC 9457."""

from __future__ import annotations

from fastapi.responses import JSONResponse


class ProblemError(Exception):
    """An answer other than 200.

    Args:
        status: HTTP status.
        title: What kind of problem it is.
        detail: What is wrong, and what to do.
        headers: Further headers.
    """

    def __init__(self, status: int, title: str, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.title, self.detail, self.headers = status, title, detail, headers

    def response(self) -> JSONResponse:
        """The answer."""
        content = {"type": "about:blank", "title": self.title, "status": self.status, "detail": self.detail}
        return JSONResponse(content, self.status, self.headers, media_type="application/problem+json")
