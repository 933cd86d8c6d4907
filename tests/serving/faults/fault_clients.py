"""Clients that go on sending whatever happens, and remember what they saw."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

POSTING = {
    "posting_id": "p-1",
    "event_timestamp": "2026-01-05T08:00:00Z",
    "company": "Example",
    "board": "jobs.example",
    "title": "Warehouse worker",
    "description": "Loads and unloads lorries, keeps the warehouse tidy.",
}
_PAUSE = 0.01
_RETRY_PAUSE = 0.05


@dataclass(frozen=True)
class Seen:
    """What one request came to.

    Attributes:
        request_id: Its id.
        sent: `time.monotonic()` at which it was sent.
        seconds: How long it took.
        status: The answer's; 0 where there was none.
        degraded: Reasons that the answer gives.
        version: Of the model that answered.
        error: Why there was no answer.
    """

    request_id: str
    sent: float
    seconds: float
    status: int
    degraded: Sequence[str] = ()
    version: str = ""
    error: str = ""


class Clients:
    """Some clients, each with a connection of its own that it opens again when it breaks. None repeats a request.

    Args:
        url: Of the endpoint.
        name: What the request ids begin with.
        count: How many.
        posting: What they send.
    """

    def __init__(self, url: str, name: str, *, count: int = 4, posting: Mapping[str, Any] = POSTING) -> None:
        self._host, self._port = urlsplit(url).hostname, urlsplit(url).port
        self._name = name
        self._body = json.dumps(posting)
        self._stop = threading.Event()
        self._numbers = itertools.count()
        self.seen: list[Seen] = []
        self._threads = [threading.Thread(target=self._work) for _ in range(count)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def answered(self) -> list[str]:
        """Ids of the requests that got a prediction."""
        return [seen.request_id for seen in list(self.seen) if seen.status == 200]

    def outcomes(self, since: float = 0.0, until: float = float("inf")) -> Counter[str]:
        """How many requests that were sent in [since, until) came to what: a status, or `no answer`."""
        return Counter(
            str(seen.status) if seen.status else "no answer" for seen in list(self.seen) if since <= seen.sent < until
        )

    def wait_for(self, what: Callable[[Seen], bool], *, count: int = 1, since: float = 0.0, within: float = 30) -> Seen:
        """Waits until so many requests sent since then came to that; gives the first of them."""
        deadline = time.monotonic() + within
        while True:
            found = [seen for seen in list(self.seen) if seen.sent >= since and what(seen)]
            if len(found) >= count:
                return found[0]
            assert time.monotonic() < deadline, f"of {count} only {len(found)} came; the last: {self.seen[-5:]}"
            time.sleep(0.02)

    def _work(self) -> None:
        connection = self._connect()
        while not self._stop.is_set():
            request_id = f"{self._name}-{next(self._numbers)}"
            sent = time.monotonic()
            try:
                connection.request(
                    "POST",
                    "/v1/classify",
                    self._body,
                    {"Content-Type": "application/json", "X-Request-ID": request_id, "X-Latency-Budget-Ms": "10000"},
                )
                response = connection.getresponse()
                answer = json.loads(response.read())
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.seen.append(Seen(request_id, sent, time.monotonic() - sent, 0, error=repr(error)))
                connection.close()
                connection = self._connect()
                time.sleep(_RETRY_PAUSE)
                continue
            self.seen.append(
                Seen(
                    request_id,
                    sent,
                    time.monotonic() - sent,
                    response.status,
                    answer.get("degraded_reasons", ()),
                    answer.get("model", {}).get("version", ""),
                    answer.get("detail", ""),
                )
            )
            time.sleep(_PAUSE)
        connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        assert self._host is not None
        return http.client.HTTPConnection(self._host, self._port, timeout=20)
