"""Refuses at the headers what could only be answered late: before its body is read, before a task is made for it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from serving.errors import RequestRefusedError
from serving.http.classify import Classify
from serving.http.front import Front
from serving.http.headers import BUDGET, REQUEST_ID, budget_of, new_request_id, request_id_of


class Shedder:
    """Asks a route's lane whether it is overloaded.

    Args:
        front: Told of each refusal.
        routes: The classify routes by path.
    """

    def __init__(self, front: Front, routes: Mapping[str, Classify]) -> None:
        self._front = front
        self._routes = {path.encode(): route for path, route in routes.items()}
        self._passed: dict[str, int] = {}

    def arrived(self) -> float:
        """When a request whose headers are complete now came (`time.monotonic()`), at the earliest."""
        return self._front.engine.arrived()

    def refusal(self, path: bytes, headers: Sequence[tuple[bytes, bytes]]) -> tuple[RequestRefusedError, str] | None:
        """The refusal that a request gets now, and its id; None lets it pass.

        Args:
            path: As it was sent. A path that is written otherwise passes, and meets the queue's own limits.
            headers: Names in lower case.
        """
        route = self._routes.get(path)
        if route is None:
            return None
        try:
            given = {name: value for name, value in headers if name in (BUDGET, REQUEST_ID)}
            lane = route.lane
            coming = self._passed.get(lane.name, 0)
            budget = budget_of(given, route.budget_seconds) if given else route.budget_seconds
            error = lane.overloaded(budget, coming=coming)
            if error is None:
                self._pass(lane.name, coming + 1)
                return None
            request_id = request_id_of(given)
        except RequestRefusedError:
            return None  # a wrong header: the route says so
        self._front.refused(error, request_id, model=route.lane.name)
        return error, request_id

    def _pass(self, model: str, count: int) -> None:
        """Counts one more that is in no queue yet: its task runs once all sockets have been read.

        Without this count a thousand requests that are read in one go would all find the queue short, and nearly all
        would be refused at the price of a whole request.
        """
        if not self._passed:
            asyncio.get_running_loop().call_soon(self._passed.clear)
        self._passed[model] = count

    def count(self, error: RequestRefusedError) -> str:
        """Counts a refusal by the server itself; returns the id that it goes by."""
        request_id = new_request_id()
        self._front.refused(error, request_id)
        return request_id
