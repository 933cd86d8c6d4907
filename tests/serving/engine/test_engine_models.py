"""Several models beside each other: by turns, with an admission of their own."""

from __future__ import annotations

import asyncio

import pytest
from engine_bench import HeldModel, query, run, running
from serving_standins import POISON

from plumbline.settings import Settings
from serving.errors import RequestRefusedError


def test_one_models_overload_delays_another_by_a_batch_at_a_time(settings: Settings) -> None:
    order: list[str] = []
    model, other = HeldModel("default", order), HeldModel("other", order)

    async def body() -> None:
        async with running(settings, model=model, others={"other": other}, max_batch_size=4) as engine:
            model.hold()
            crowd = [asyncio.create_task(engine.lane.answer(query())) for _ in range(40)]
            await model.held()
            few = [asyncio.create_task(engine.engine.lane("other").answer(query())) for _ in range(6)]
            await asyncio.sleep(0)
            model.go_on.set()
            answers = await asyncio.gather(*few)
            assert {answer.label for answer in answers} == {"long"}
            # The other model's two batches came after the one that ran, and after one more.
            assert order[:4] == ["default", "other", "default", "other"]
            await asyncio.gather(*crowd)
            assert order[4:] == ["default"] * 8

    run(body)


def test_a_full_queue_of_one_model_is_none_of_the_other(settings: Settings) -> None:
    async def body() -> None:
        other = HeldModel()
        async with running(settings, others={"other": other}, max_waiting=1) as engine:
            engine.model.hold()
            crowd = [asyncio.create_task(engine.lane.answer(query()))]
            await engine.model.held()
            crowd += [asyncio.create_task(engine.lane.answer(query())) for _ in range(5)]
            await asyncio.sleep(0)
            assert engine.lane.overloaded(20.0) is not None
            assert engine.engine.lane("other").overloaded(20.0) is None
            waiting = asyncio.create_task(engine.engine.lane("other").answer(query()))
            await asyncio.sleep(0)
            engine.model.go_on.set()
            assert (await waiting).label == "long"
            results = await asyncio.gather(*crowd, return_exceptions=True)
            assert sum(isinstance(result, RequestRefusedError) for result in results) == 4

    run(body)


def test_a_model_that_breaks_leaves_the_other_alone_and_is_named_by_readiness(settings: Settings) -> None:
    async def body() -> None:
        other = HeldModel()
        async with running(settings, others={"other": other}) as engine:
            results = await asyncio.gather(
                engine.engine.lane("other").answer(query(POISON)),
                engine.lane.answer(query()),
                return_exceptions=True,
            )
            assert isinstance(results[0], RequestRefusedError)
            assert not isinstance(results[1], BaseException)
            other.forward = None  # type: ignore[method-assign,assignment]
            reason = await engine.engine.unready_because()
            assert reason is not None
            assert reason.startswith("other: TypeError")

    run(body)


def test_lanes_are_found_by_name_the_default_first(settings: Settings) -> None:
    async def body() -> None:
        async with running(settings, others={"other": HeldModel()}) as engine:
            assert list(engine.engine.lanes) == [settings.tracking.model_name, "other"]
            assert engine.engine.lane("other").max_batch_size == 4
            assert engine.engine.lane().status()[0].role == "champion"
            with pytest.raises(RequestRefusedError, match="Ask for one of") as refusal:
                engine.engine.lane("another")
            assert refusal.value.status == 404

    run(body)
