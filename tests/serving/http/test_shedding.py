"""Refusals at the headers, and the count of what is on its way to the queue."""

from __future__ import annotations

import asyncio
import time

import pytest
from serving_standins import Serve

from serving.http.routes import HotRoutes
from serving.http.shedding import Shedder


def test_what_is_on_its_way_to_the_queue_counts_until_it_is_there(serve: Serve) -> None:
    front = serve(max_waiting=3).replica.front
    shedder = Shedder(front, HotRoutes(front).by_path)

    async def body() -> None:
        # Read in one go: no task has run in between, and the queue is empty all the while.
        found = [shedder.refusal(b"/v1/classify", []) for _ in range(5)]
        assert [refusal is None for refusal in found] == [True, True, True, False, False]
        assert {refusal[0].title for refusal in found if refusal is not None} == {"overloaded"}
        await asyncio.sleep(0)
        assert shedder.refusal(b"/v1/classify", []) is None
        assert shedder.refusal(b"/healthz", []) is None

    asyncio.run(body())


def test_what_is_read_late_in_a_round_or_after_a_full_one_had_come_before(serve: Serve) -> None:
    front = serve(max_waiting=1).replica.front
    shedder = Shedder(front, HotRoutes(front).by_path)

    async def body() -> None:
        started = time.monotonic()
        assert shedder.refusal(b"/v1/classify", []) is None
        entered = time.monotonic()
        time.sleep(0.002)
        assert started <= shedder.arrived() <= entered
        await asyncio.sleep(0)
        assert shedder.arrived() > entered  # nobody was refused: the loop was not full

        full = time.monotonic()
        assert [shedder.refusal(b"/v1/classify", []) is None for _ in range(2)] == [True, False]
        entered = time.monotonic()
        time.sleep(0.002)
        await asyncio.sleep(0)
        assert full <= shedder.arrived() <= entered  # may have come while the last round was worked off
        for _ in range(3):
            await asyncio.sleep(0)
        assert shedder.arrived() > entered

    asyncio.run(body())


def test_a_budget_that_was_spent_in_the_socket_is_not_spent_again(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    front = serve().replica.front
    budgets: list[float] = []
    monkeypatch.setattr(front.engine.lane(), "overloaded", lambda budget, coming=0: budgets.append(budget))
    monkeypatch.setattr(front.engine, "arrived", lambda: time.monotonic() - 0.03)
    shedder = Shedder(front, HotRoutes(front).by_path)

    async def body() -> None:
        assert shedder.refusal(b"/v1/classify", [(b"x-latency-budget-ms", b"50")]) is None

    asyncio.run(body())
    assert 0 < budgets[0] < 0.021
