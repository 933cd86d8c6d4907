"""Batch requests: in chunks, behind single queries, with an admission of their own."""

from __future__ import annotations

import asyncio
import time

import pytest
from engine_bench import queries, query, run, running
from serving_standins import POISON

from plumbline.settings import Settings
from serving.engine.query import Answer
from serving.errors import RequestRefusedError


def test_each_query_gets_its_own_answer_or_refusal_in_order(settings: Settings) -> None:
    async def body() -> None:
        async with running(settings, batch_chunk_size=4) as engine:
            rows = [query(POISON if row == 5 else "fine", request_id=f"b/{row}") for row in range(10)]
            results = await engine.lane.answer_all(rows)
            refused = results.pop(5)
            assert isinstance(refused, RequestRefusedError)
            assert refused.status == 500
            ids = [result.request_id for result in results if isinstance(result, Answer)]
            assert ids == [f"b/{row}" for row in range(10) if row != 5]
            assert sorted(engine.logged()["request_id"]) == sorted(ids)
            assert await engine.lane.answer_all([]) == []

    run(body)


def test_small_requests_share_a_chunk(settings: Settings) -> None:
    async def body() -> None:
        async with running(settings, batch_chunk_size=4) as engine:
            await asyncio.gather(*(engine.lane.answer_all([query(), query()]) for _ in range(4)))
            assert engine.model.sizes == [4, 4]

    run(body)


def test_single_queries_go_between_the_chunks(settings: Settings) -> None:
    async def body() -> None:
        async with running(settings, batch_chunk_size=2, max_batch_size=2) as engine:
            engine.model.hold()
            bulk = asyncio.create_task(engine.lane.answer_all(queries(6, "bulk")))
            await engine.model.held()
            singles = [asyncio.create_task(engine.lane.answer(query("single"))) for _ in range(4)]
            await asyncio.sleep(0)
            engine.model.go_on.set()
            await asyncio.gather(bulk, *singles)
            assert engine.model.titles == ["bulk"] * 2 + ["single"] * 4 + ["bulk"] * 4

    run(body)


def test_a_batch_request_is_not_put_off_for_ever(settings: Settings) -> None:
    async def body() -> None:
        async with running(settings, batch_chunk_size=1, max_batch_size=1) as engine:
            engine.model.hold()
            singles = [asyncio.create_task(engine.lane.answer(query("single"))) for _ in range(12)]
            await engine.model.held()
            bulk = asyncio.create_task(engine.lane.answer_all([query("bulk"), query("bulk")]))
            await asyncio.sleep(0)
            engine.model.go_on.set()
            await asyncio.gather(bulk, *singles)
            places = [place for place, title in enumerate(engine.model.titles) if title == "bulk"]
            # After four batches of single queries that went before, one chunk.
            assert places == [5, 10]

    run(body)


def test_a_request_that_would_come_too_late_is_refused_as_a_whole(settings: Settings) -> None:
    async def body() -> None:
        async with running(settings, batch_chunk_size=2) as engine:
            engine.model.hold()
            first = asyncio.create_task(engine.lane.answer_all(queries(4)))
            await engine.model.held()
            with pytest.raises(RequestRefusedError) as refusal:
                await engine.lane.answer_all([query(seconds=1e-6) for _ in range(4)])
            assert refusal.value.status == 503
            # Single queries have an admission of their own.
            single = asyncio.create_task(engine.lane.answer(query()))
            engine.model.go_on.set()
            assert len(await first) == 4
            assert (await single).label == "long"

    run(body)


def test_no_more_than_so_many_wait_in_bulk_but_one_request_may_be_larger(settings: Settings) -> None:
    async def body() -> None:
        async with running(settings, batch_chunk_size=2, max_waiting_in_bulk=3) as engine:
            engine.model.hold()
            first = asyncio.create_task(engine.lane.answer_all(queries(6)))
            await engine.model.held()
            with pytest.raises(RequestRefusedError, match="no more than 3 may"):
                await engine.lane.answer_all([query()])
            engine.model.go_on.set()
            assert len(await first) == 6

    run(body)


def test_rows_whose_time_is_over_are_refused_and_not_computed(settings: Settings) -> None:
    async def body() -> None:
        async with running(settings, batch_chunk_size=2) as engine:
            engine.model.hold()
            rows = [query(f"row {row}") for row in range(4)]
            bulk = asyncio.create_task(engine.lane.answer_all(rows))
            await engine.model.held()
            rows[2].deadline = time.monotonic()
            engine.model.go_on.set()
            results = await bulk
            assert [result.status if isinstance(result, RequestRefusedError) else 200 for result in results] == [
                200, 200, 504, 200,
            ]  # fmt: skip
            assert engine.model.titles == ["row 0", "row 1", "row 3"]

    run(body)
