"""Refuses at the headers what could only be answered late: before its body is read, before a task is made for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

from serving.errors import RequestRefusedError
from serving.http.classify import Classify
from serving.http.front import Front
from serving.http.glance import StandingRefusal, request_line_of
from serving.http.headers import BUDGET, REQUEST_ID, budget_of, new_request_id, request_id_of


class Shedder:
    """Asks a route whether it is overloaded.

    Args:
        front: Told of each refusal.
        routes: The classify routes by path.
    """

    def __init__(self, front: Front, routes: Mapping[str, Classify]) -> None:
        self._front = front
        self._routes = {path.encode(): route for path, route in routes.items()}
        self._lines = {path.encode(): request_line_of(path) for path in routes}
        self._passed: dict[Classify, int] = {}
        self._round_began: float | None = None
        self._overloaded_since: float | None = None
        self.standing: dict[bytes, StandingRefusal] = {}
        """What is refused in this round of the event loop, by how a request for it starts."""

    def arrived(self) -> float:
        """When a request whose headers are complete now came (`time.monotonic()`), at the earliest.

        Sockets are looked at once per round. What is read late in a round had come when the round began; and where the
        round before it was so full that requests were refused, it may have come at any time during that one.
        """
        earliest = self._front.engine.arrived()
        for began in (self._round_began, self._overloaded_since):
            if began is not None and began < earliest:
                earliest = began
        return earliest

    def refusal(self, path: bytes, headers: Sequence[tuple[bytes, bytes]]) -> tuple[RequestRefusedError, str] | None:
        """The refusal that a request gets now, and its id; None lets it pass.

        Args:
            path: As it was sent. A path that is written otherwise passes, and meets the queue's own limits.
            headers: Names in lower case.
        """
        route = self._routes.get(path)
        if route is None:
            return None
        self._enter_round()
        try:
            given = {name: value for name, value in headers if name in (BUDGET, REQUEST_ID)}
            coming = self._passed.get(route, 0)
            budget = budget_of(given, route.budget_seconds) if given else route.budget_seconds
            error = route.overloaded(budget - (time.monotonic() - self.arrived()), coming)
            if error is None:
                # It is in no queue yet: its task runs once all sockets have been read. Were it not counted, a
                # thousand requests that are read in one go would all find the queue short, and nearly all would be
                # refused at the price of a whole request.
                self._passed[route] = coming + 1
                return None
            request_id = request_id_of(given)
        except RequestRefusedError:
            return None  # a wrong header: the route says so
        line = self._lines[path]
        if line not in self.standing and BUDGET not in given and not self._front.drain.requested:  # which closes, too
            self.standing[line] = StandingRefusal(error, route.lane.name)
        self._front.refused(error, request_id, model=route.lane.name)
        return error, request_id

    def _enter_round(self) -> None:
        if self._round_began is None:
            self._round_began = time.monotonic()
            asyncio.get_running_loop().call_soon(self._leave_round, self._round_began)

    def _leave_round(self, began: float) -> None:
        self._round_began = None
        self._passed.clear()
        if not self.standing:
            return
        for refusal in self.standing.values():
            if refusal.copies:
                self._front.refused(refusal.error, refusal.last_id, model=refusal.model, count=refusal.copies)
        self.standing.clear()
        # Two rounds of the loop: in the first the sockets are looked at again.
        self._overloaded_since = began
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.call_soon, self._forget, began)

    def _forget(self, began: float) -> None:
        if self._overloaded_since == began:  # else a later round was as full
            self._overloaded_since = None

    def count(self, error: RequestRefusedError) -> str:
        """Counts a refusal by the server itself; returns the id that it goes by."""
        request_id = new_request_id()
        self._front.refused(error, request_id)
        return request_id
