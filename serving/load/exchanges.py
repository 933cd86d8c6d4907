"""What came of the requests of a run, a few numbers each."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

OPEN = 0
TIMEOUT = -1
REFUSED = -2
UNREACHABLE = -3
CLOSED = -4
NOT_HTTP = -5

KINDS = {
    OPEN: "unfinished",
    TIMEOUT: "timeout",
    REFUSED: "connection refused",
    UNREACHABLE: "no connection",
    CLOSED: "connection closed",
    NOT_HTTP: "not HTTP",
}
"""Names of the outcomes that have no HTTP status. A status other than 200 is named `status 503`."""


def kind_name(status: int) -> str:
    """Name of an outcome other than 200."""
    return KINDS.get(status, f"status {status}")


@dataclass(frozen=True)
class Exchanges:
    """Requests in the order in which they were due; all arrays have the shape (requests,), times are seconds.

    Attributes:
        due: When each request was to leave, from the start of the run.
        started: When the generator took it up: `started - due` is the generator's own lateness.
        sent: When it was written to a connection; nan where it never was. From `started` on, waiting is for a
            connection, so for the server.
        ended: When the last byte of the answer was there, or the request was given up.
        status: HTTP status, or one of the negative codes of `KINDS`.
        retry_after: By number of the request: seconds that the server asked to wait.
        cpu_seconds: CPU time of the generator's thread from the first to the last request.
    """

    due: NDArray[np.float64]
    started: NDArray[np.float64]
    sent: NDArray[np.float64]
    ended: NDArray[np.float64]
    status: NDArray[np.int16]
    retry_after: dict[int, float]
    cpu_seconds: float

    def __len__(self) -> int:
        return len(self.due)

    @property
    def answered(self) -> NDArray[np.bool_]:
        """Which requests were answered with 200."""
        return np.equal(self.status, 200)

    @property
    def latency(self) -> NDArray[np.float64]:
        """Seconds from the intended send time to the end, so that no stall of client or server is left out."""
        return self.ended - self.due

    @property
    def lag(self) -> NDArray[np.float64]:
        """Seconds by which the generator itself was late."""
        return self.started - self.due

    def errors_by_kind(self) -> dict[str, int]:
        """Requests that were not answered with 200, counted by what happened, the most frequent first."""
        counts = Counter(self.status[~self.answered].tolist())
        return {kind_name(code): count for code, count in counts.most_common()}

    def due_within(self, start: float, end: float = float("inf")) -> Exchanges:
        """The requests that were due in [start, end). The CPU time stays the whole run's."""
        first, last = np.searchsorted(self.due, [start, end])
        return Exchanges(
            self.due[first:last],
            self.started[first:last],
            self.sent[first:last],
            self.ended[first:last],
            self.status[first:last],
            {number - int(first): wait for number, wait in self.retry_after.items() if first <= number < last},
            self.cpu_seconds,
        )


def merge(parts: Sequence[Exchanges], numbers: Sequence[NDArray[np.int64]]) -> Exchanges:
    """Puts the parts of a run together again.

    Args:
        parts: What each process noted.
        numbers: Of each part, the numbers of its requests in the whole run; together 0, 1, 2, ...
    """
    order = np.argsort(np.concatenate(numbers), kind="stable")
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts])[order]
        for name in ("due", "started", "sent", "ended", "status")
    }
    retry_after = {
        int(own[number]): wait
        for part, own in zip(parts, numbers, strict=True)
        for number, wait in part.retry_after.items()
    }
    return Exchanges(**columns, retry_after=retry_after, cpu_seconds=sum(part.cpu_seconds for part in parts))


class Recorder:
    """Collects exchanges while they run: five numbers per request, no objects."""

    def __init__(self) -> None:
        self.due, self.started, self.sent, self.ended = array("d"), array("d"), array("d"), array("d")
        self.status = array("h")
        self.retry_after: dict[int, float] = {}

    def begin(self, due: float, started: float) -> int:
        """Notes a request; returns its number."""
        self.due.append(due)
        self.started.append(started)
        self.sent.append(_NAN)
        self.ended.append(_NAN)
        self.status.append(OPEN)
        return len(self.due) - 1

    def freeze(self, start: float, cpu_seconds: float) -> Exchanges:
        """What was noted, in seconds from `start`; both in the clock of the notes."""
        due, started, sent, ended = (
            np.array(column) - start for column in (self.due, self.started, self.sent, self.ended)
        )
        status = np.array(self.status, dtype=np.int16)
        return Exchanges(due, started, sent, ended, status, self.retry_after, cpu_seconds)


_NAN = float("nan")
