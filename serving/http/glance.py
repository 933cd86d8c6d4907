"""Refuses a request without parsing it, where one just like it has been refused in the same round of the event loop.

Under overload nearly everything that is read is refused, and what a refusal costs decides how much is answered beside
it: at three times what an endpoint can answer there are two refusals to every answer. Parsing, looking at headers,
asking the queue and writing a document of its own cost a refusal several times what reading and writing cost by
themselves. So the first one of a round is made with care, and the others copy it, as long as they are requests of the
plainest kind: whole, on their own, and without a header that could make a difference.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from serving.errors import RequestRefusedError
from serving.http.headers import BUDGET, MAX_ID_CHARACTERS, REQUEST_ID, new_request_id
from serving.http.problems import Headers, problem_bytes

_END_OF_LINE = b" HTTP/1.1\r\n"
_LENGTH = b"content-length"
_LENGTH_LINE = b"\r\n" + _LENGTH + b":"
_ID_LINE = b"\r\n" + REQUEST_ID + b":"
_NOT_KEPT = re.compile(rb"\r\nconnection:(?! keep-alive\r\n)")
_MOST_DIGITS = 9
_PLAIN_ID = re.compile(rb"[\x21\x23-\x5b\x5d-\x7e]{1,%d}" % MAX_ID_CHARACTERS)
"""Ids that stand in JSON as they are."""


@dataclass(slots=True)
class StandingRefusal:
    """A refusal that holds until the event loop's round is over, and how often it was copied."""

    error: RequestRefusedError
    model: str
    copies: int = 0
    last_id: str = ""
    _around_id: dict[int, tuple[bytes, bytes]] = field(default_factory=dict)

    def copy(self, request_id: bytes, headers: Headers) -> bytes:
        """The whole answer to one more request, which is counted.

        Args:
            request_id: Of that request; it needs no escaping in JSON.
            headers: Of every answer.
        """
        size = len(request_id)
        around = self._around_id.get(size)
        if around is None:
            stand_in = "~" * size
            before, _, after = problem_bytes(self.error, stand_in, headers, close=False).rpartition(stand_in.encode())
            around = self._around_id[size] = (before, after)
        self.copies += 1
        self.last_id = request_id.decode("ascii")
        return around[0] + request_id + around[1]


def request_line_of(path: str) -> bytes:
    """What a request for this path starts with, up to the protocol's version."""
    return b"POST " + path.encode("ascii")


def glance(data: bytes, standing: dict[bytes, StandingRefusal]) -> tuple[StandingRefusal, bytes] | None:
    """The refusal that holds for a request, and the request's id; None if it has to be parsed to be sure.

    Args:
        data: What was read from a connection on which a request may begin.
        standing: What is refused in this round, by `request_line_of`.
    """
    line_end = data.find(_END_OF_LINE)
    refusal = standing.get(data[:line_end])
    if refusal is None:
        return None
    end = data.find(b"\r\n\r\n", line_end)
    head = data[line_end : end + 2].lower()
    start = head.find(_LENGTH_LINE)
    if (
        start < 0
        or head.count(_LENGTH) != 1
        # What changes where the request ends, what becomes of the connection, or how long there is.
        or b"transfer-encoding" in head
        or b"expect" in head
        or b"upgrade" in head
        or BUDGET in head
        or _NOT_KEPT.search(head)
    ):
        return None
    digits = head[start + len(_LENGTH_LINE) : head.find(b"\r\n", start + 2)].strip(b" ")
    if len(digits) > _MOST_DIGITS or not digits.isdigit() or int(digits) != len(data) - end - 4:
        return None
    start = head.rfind(_ID_LINE)
    if start < 0:
        return refusal, new_request_id().encode()
    start += line_end + len(_ID_LINE)
    request_id = data[start : data.find(b"\r\n", start)].strip(b" ")
    return (refusal, request_id) if _PLAIN_ID.fullmatch(request_id) else None
