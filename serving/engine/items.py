"""A query on its way through the engine, and how its answer reaches whoever waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from serving.engine.features import FeatureVector
from serving.engine.query import Answer, Query, Role
from serving.errors import RequestRefusedError


@dataclass(slots=True, eq=False)
class Item:
    """One query. Filled where its batch is computed, else only touched on the event loop."""

    query: Query
    role: Role = "champion"
    logged: bool = True
    """False for readiness."""

    settled: bool = False
    """Whether its client has its answer or refusal, or is gone."""

    answer: Answer | None = None
    error: Exception | None = None
    """Why there is no answer."""

    failed: list[tuple[Role, str, str]] = field(default_factory=list)
    """Role, version and kind of error of each variant that could not answer."""

    vector: FeatureVector | None = None
    degraded: list[str] = field(default_factory=list)
    champion: Answer | None = None
    """Of a shadow's copy: what the champion answered."""

    def settle(self, result: Answer | RequestRefusedError) -> None:
        """Hands the result on, once."""
        if not self.settled:
            self.settled = True
            self._deliver(result)

    def _deliver(self, result: Answer | RequestRefusedError) -> None:
        """A shadow's answer has no reader."""


@dataclass(slots=True, eq=False)
class Single(Item):
    """A query with a client of its own."""

    future: asyncio.Future[Answer] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def _deliver(self, result: Answer | RequestRefusedError) -> None:
        if self.future.done():  # cancelled, and the task that awaited it has not run yet
            return
        if isinstance(result, Answer):
            self.future.set_result(result)
        else:
            self.future.set_exception(result)


class Bulk:
    """The results of one batch request.

    Args:
        count: Queries of the request.
    """

    def __init__(self, count: int) -> None:
        self.results: list[Answer | RequestRefusedError | None] = [None] * count
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._left = count

    def take(self, row: int, result: Answer | RequestRefusedError) -> None:
        """One more result; wakes the request's task with the last one."""
        self.results[row] = result
        self._left -= 1
        if not self._left and not self.future.done():
            self.future.set_result(None)

    def items(self, queries: Sequence[Query], roles: Sequence[Role]) -> list[Item]:
        """The request's queries."""
        return [
            BulkItem(query, role, request=self, row=row)
            for row, (query, role) in enumerate(zip(queries, roles, strict=True))
        ]


@dataclass(slots=True, eq=False)
class BulkItem(Item):
    """A query of a batch request."""

    request: Bulk = field(kw_only=True)
    row: int = field(kw_only=True)

    def _deliver(self, result: Answer | RequestRefusedError) -> None:
        self.request.take(self.row, result)
