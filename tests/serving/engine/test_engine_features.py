"""Features that are late or cannot be had are replaced, for those alone that need them."""

from __future__ import annotations

import asyncio

from engine_bench import query, run, running, until

from plumbline.settings import Settings


def test_late_features_are_replaced_and_do_not_queue_up(settings: Settings) -> None:
    async def body() -> None:
        async with running(settings, features_budget_ms=20.0) as engine:
            engine.features.go_on.clear()
            before = engine.features.reads
            for _ in range(3):
                assert (await engine.lane.answer(query())).degraded_reasons == ["features_late"]
            assert engine.features.reads - before == 1
            engine.features.go_on.set()

            async def answer() -> list[str]:
                return (await engine.lane.answer(query())).degraded_reasons

            while await answer():
                await asyncio.sleep(0.005)
            assert set(engine.logged()["degraded"]) == {True, False}

    run(body)


def test_what_is_in_memory_is_served_beside_a_store_that_hangs(settings: Settings) -> None:
    async def body() -> None:
        async with running(settings, features_budget_ms=20.0) as engine:
            engine.features.kept.add("known")
            engine.features.go_on.clear()
            answers = await asyncio.gather(*(engine.lane.answer(query(board=board)) for board in ("known", "new")))
            assert [answer.degraded_reasons for answer in answers] == [[], ["features_late"]]
            log = engine.logged().set_index("board")
            assert log.loc["known", "features"] == {"board_size": 5.0}
            assert log.loc["new", "features"] == {}
            await until(lambda: engine.features.reads > 0)

    run(body)


def test_failing_features_are_replaced(settings: Settings) -> None:
    async def body() -> None:
        async with running(settings) as engine:
            engine.features.fails = True
            assert (await engine.lane.answer(query())).degraded_reasons == ["features_failed"]
            engine.features.fails = False
            assert (await engine.lane.answer(query())).degraded_reasons == []

    run(body)


def test_features_are_not_waited_for_beyond_the_most_urgent_budget(settings: Settings) -> None:
    async def body() -> None:
        async with running(settings, features_budget_ms=1e6) as engine:
            engine.features.go_on.clear()
            answer = await engine.lane.answer(query(seconds=0.5))
            assert answer.degraded_reasons == ["features_late"]

    run(body)
