"""Refusals at the headers, and the count of what is on its way to the queue."""

from __future__ import annotations

import asyncio

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
