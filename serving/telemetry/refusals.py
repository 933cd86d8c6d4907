"""Refusals in the log: one line per kind and second, with how many more there were. Overload must not drown the log."""

from __future__ import annotations

import logging
import time

from serving.errors import RequestRefusedError

_log = logging.getLogger("serving.requests")
_EVERY_SECONDS = 1.0


class RefusalLog:
    """Used on one event loop."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], tuple[float, int]] = {}

    def refused(
        self, error: RequestRefusedError, *, model: str, request_id: str, client: str | None = None, count: int = 1
    ) -> None:
        """Logs a refusal, or counts it towards the next line of its kind.

        Args:
            error: Status and reason.
            model: What was asked.
            request_id: Names the request.
            client: Who asked, if that is known.
            count: Of so many that are refused alike, this is one.
        """
        kind = (model, error.title)
        now = time.monotonic()
        logged, suppressed = self._last.get(kind, (-_EVERY_SECONDS, 0))
        if now - logged < _EVERY_SECONDS:
            self._last[kind] = (logged, suppressed + count)
            return
        self._last[kind] = (now, count - 1)
        _log.log(
            logging.ERROR if error.status == 500 else logging.INFO,
            "refused: %s",
            error.detail,
            extra={
                "request_id": request_id,
                "status": error.status,
                "reason": error.title,
                "model": model,
                "client": client,
                "suppressed": suppressed or None,
            },
        )
