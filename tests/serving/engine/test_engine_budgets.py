"""What could only be answered late is refused: early where the queue says so, and never computed."""

from __future__ import annotations

import asyncio
import time

import pytest
from engine_bench import query, run, running, until

from plumbline.settings import Settings
from serving.errors import RequestRefusedError


def test_a_query_whose_time_is_over_when_its_batch_closes_is_not_computed(settings: Settings) -> None:
    async def body() -> None:
        async with running(settings) as engine:
            engine.model.hold()
            first = asyncio.create_task(engine.lane.answer(query("first")))
            await engine.model.held()
            late = query("late", seconds=20.0)
            tasks = [asyncio.create_task(engine.lane.answer(one)) for one in (late, query("in time"))]
            await asyncio.sleep(0)
            late.deadline = time.monotonic() - 0.001
            engine.model.go_on.set()
            await asyncio.gather(first, tasks[1])
            with pytest.raises(RequestRefusedError) as refusal:
                await tasks[0]
            assert (refusal.value.status, refusal.value.title) == (504, "budget-exceeded")
            assert engine.model.titles == ["first", "in time"]
            assert len(engine.logged()) == 2

    run(body)


def test_behind_a_batch_that_hangs_nobody_waits_longer_than_the_budget(settings: Settings) -> None:
    async def body() -> None:
        async with running(settings) as engine:
            engine.model.hold()
            first = asyncio.create_task(engine.lane.answer(query("first")))
            await engine.model.held()
            late = query("late")
            waiting = asyncio.create_task(engine.lane.answer(late))
            await asyncio.sleep(0)
            late.deadline = time.monotonic()
            with pytest.raises(RequestRefusedError, match="It was not computed"):
                await waiting
            assert not first.done()
            engine.model.go_on.set()
            await first

    run(body)


def test_a_batch_that_hangs_is_given_up_and_the_endpoint_is_not_ready(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.engine.queue.STALLED_SECONDS", 0.1)

    async def body() -> None:
        async with running(settings) as engine:
            engine.model.hold()
            first = asyncio.create_task(engine.lane.answer(query()))
            with pytest.raises(RequestRefusedError) as refusal:
                await first
            assert (refusal.value.status, refusal.value.title) == (503, "unavailable")
            assert engine.engine.busy_seconds >= 0.1
            assert b"plumbline_compute_busy_seconds 0.0" not in engine.metrics.exposition()
            reason = await engine.engine.unready_because()
            assert reason is not None
            assert "a batch has hung" in reason
            engine.model.go_on.set()
            await until(lambda: not engine.engine.busy_seconds)
            assert b"plumbline_compute_busy_seconds 0.0" in engine.metrics.exposition()
            assert await engine.lane.unready_because() is None

    run(body)


def test_an_idle_lane_lets_one_in_whatever_the_estimate_says(settings: Settings) -> None:
    async def body() -> None:
        async with running(settings) as engine:
            engine.lane.seed({1: 100.0})
            assert engine.lane.overloaded(0.01) is None
            answer = await engine.lane.answer(query(seconds=5.0))
            assert answer.label == "long"
            engine.model.hold()
            first = asyncio.create_task(engine.lane.answer(query()))
            await engine.model.held()
            refusal = engine.lane.overloaded(1e-6)
            assert refusal is not None
            assert refusal.status == 503
            assert refusal.retry_after is not None
            assert refusal.retry_after >= 1
            with pytest.raises(RequestRefusedError, match="requests wait"):
                await engine.lane.answer(query(seconds=1e-6))
            engine.model.go_on.set()
            await first

    run(body)


def test_no_more_than_so_many_wait(settings: Settings) -> None:
    async def body() -> None:
        async with running(settings, max_waiting=2) as engine:
            engine.model.hold()
            first = asyncio.create_task(engine.lane.answer(query()))
            await engine.model.held()
            tasks = [asyncio.create_task(engine.lane.answer(query())) for _ in range(4)]
            await asyncio.sleep(0)
            engine.model.go_on.set()
            results = await asyncio.gather(first, *tasks, return_exceptions=True)
            refused = [result for result in results if isinstance(result, RequestRefusedError)]
            assert [error.status for error in refused] == [503, 503]
            assert "no more than 2 may" in str(refused[0])

    run(body)


def test_readiness_is_one_prediction_for_all_who_ask_and_is_not_logged(settings: Settings) -> None:
    async def body() -> None:
        async with running(settings) as engine:
            reasons = await asyncio.gather(*(engine.engine.unready_because() for _ in range(20)))
            assert set(reasons) == {None}
            assert await engine.engine.unready_because() is None
            assert engine.model.sizes == [1]
            assert len(engine.logged()) == 0

    run(body)
