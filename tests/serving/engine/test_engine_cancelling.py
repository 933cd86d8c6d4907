"""A client that goes away is taken out, and its neighbours do not notice."""

from __future__ import annotations

import asyncio

import pytest
from engine_bench import query, run, running

from plumbline.settings import Settings


def test_a_cancelled_query_is_taken_out_of_the_queue(settings: Settings) -> None:
    async def body() -> None:
        async with running(settings) as engine:
            engine.model.hold()
            first = asyncio.create_task(engine.lane.answer(query("first")))
            await engine.model.held()
            gone = asyncio.create_task(engine.lane.answer(query("gone")))
            kept = asyncio.create_task(engine.lane.answer(query("kept")))
            await asyncio.sleep(0)
            gone.cancel()
            with pytest.raises(asyncio.CancelledError):
                await gone
            assert engine.lane.waiting == 1
            engine.model.go_on.set()
            await asyncio.gather(first, kept)
            assert engine.model.titles == ["first", "kept"]

    run(body)


def test_what_is_being_computed_is_computed_and_logged_to_the_end(settings: Settings) -> None:
    async def body() -> None:
        async with running(settings) as engine:
            engine.model.hold()
            gone = asyncio.create_task(engine.lane.answer(query("gone", request_id="gone")))
            kept = asyncio.create_task(engine.lane.answer(query("kept", request_id="kept")))
            await engine.model.held()
            gone.cancel()
            engine.model.go_on.set()
            assert (await kept).request_id == "kept"
            assert sorted(engine.logged()["request_id"]) == ["gone", "kept"]
            assert (await engine.lane.answer(query())).label == "long"

    run(body)


def test_of_a_cancelled_batch_request_no_further_chunk_is_computed(settings: Settings) -> None:
    async def body() -> None:
        async with running(settings, batch_chunk_size=2) as engine:
            engine.model.hold()
            six = [query("gone") for _ in range(6)]
            gone = asyncio.create_task(engine.lane.answer_all(six))
            await engine.model.held()
            other = asyncio.create_task(engine.lane.answer_all([query("other")]))
            await asyncio.sleep(0)
            gone.cancel()
            with pytest.raises(asyncio.CancelledError):
                await gone
            engine.model.go_on.set()
            assert len(await other) == 1
            assert engine.model.titles == ["gone", "gone", "other"]

    run(body)
