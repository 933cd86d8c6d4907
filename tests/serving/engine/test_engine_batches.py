"""Batches form while one is answered, and no query harms its neighbours."""

from __future__ import annotations

import asyncio

import pytest
from engine_bench import query, run, running
from serving_standins import NOT_A_NUMBER, POISON

from plumbline.settings import Settings
from serving.engine.query import Answer
from serving.errors import RequestRefusedError, UnavailableError


def test_an_answer_says_what_and_who(settings: Settings) -> None:
    async def body() -> None:
        async with running(settings) as engine:
            answer = await engine.lane.answer(query(request_id="mine"))
            assert (answer.request_id, answer.label, answer.probability) == ("mine", "long", 0.9)
            assert answer.probabilities.tolist() == pytest.approx([0.9, 0.1])
            assert (answer.model_name, answer.model_version, answer.role) == ("word-count", "1", "champion")
            assert answer.timings.total >= answer.timings.model >= 0
            assert b'"timings_ms":{"queue":' in answer.body()

    run(body)


def test_what_arrives_while_a_batch_is_answered_forms_the_next_ones(settings: Settings) -> None:
    async def body() -> None:
        async with running(settings, max_batch_size=4) as engine:
            engine.model.hold()
            first = asyncio.create_task(engine.lane.answer(query()))
            await engine.model.held()
            rest = [asyncio.create_task(engine.lane.answer(query())) for _ in range(10)]
            await asyncio.sleep(0)
            assert engine.lane.waiting == 10
            engine.model.go_on.set()
            await asyncio.gather(first, *rest)
            assert engine.model.sizes == [1, 4, 4, 2]
            assert len(engine.logged()) == 11

    run(body)


def test_an_open_batch_waits_for_companions_until_it_is_full(settings: Settings) -> None:
    async def body() -> None:
        async with running(settings, max_batch_size=3, max_batch_wait_ms=1e7) as engine:
            await asyncio.gather(*(engine.lane.answer(query()) for _ in range(3)))
            assert engine.model.sizes == [3]

    run(body)


def test_a_budget_that_runs_out_ends_the_wait_for_companions(settings: Settings) -> None:
    async def body() -> None:
        async with running(settings, max_batch_wait_ms=1e7) as engine:
            await asyncio.gather(engine.lane.answer(query(seconds=1.0)), return_exceptions=True)
            assert engine.lane.waiting == 0

    run(body)


@pytest.mark.parametrize("place", range(5))
def test_a_poisoned_query_fails_alone(settings: Settings, place: int) -> None:
    async def body() -> None:
        async with running(settings) as engine:
            titles = ["fine"] * 4
            titles.insert(place, POISON)
            results = await asyncio.gather(
                *(engine.lane.answer(query(title)) for title in titles), return_exceptions=True
            )
            refused = results.pop(place)
            assert isinstance(refused, RequestRefusedError)
            assert (refused.status, refused.title) == (500, "prediction-failed")
            assert all(isinstance(result, Answer) for result in results)
            assert len(engine.logged()) == 4

    run(body)


def test_what_is_not_a_number_fails_alone_and_costs_no_second_try(settings: Settings) -> None:
    async def body() -> None:
        async with running(settings) as engine:
            results = await asyncio.gather(
                *(engine.lane.answer(query(title)) for title in ("fine", NOT_A_NUMBER, "fine")), return_exceptions=True
            )
            assert [isinstance(result, Answer) for result in results] == [True, False, True]
            assert engine.model.sizes == [3]

    run(body)


def test_probabilities_of_a_wrong_shape_are_refused(settings: Settings) -> None:
    async def body() -> None:
        async with running(settings) as engine:
            engine.model.labels.append("a third one")
            with pytest.raises(RequestRefusedError, match="ValueError"):
                await engine.lane.answer(query())

    run(body)


def test_without_its_record_nobody_gets_an_answer(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body() -> None:
        async with running(settings) as engine:

            def append(records: object) -> None:
                raise UnavailableError("no room")

            monkeypatch.setattr(engine.log, "append", append)
            results = await asyncio.gather(*(engine.lane.answer(query()) for _ in range(4)), return_exceptions=True)
            for result in results:
                assert isinstance(result, RequestRefusedError)
                assert (result.status, result.retry_after) == (503, 1)
            assert engine.model.sizes == [4]
            # Readiness is not logged: it tells of the model and the features.
            assert await engine.engine.unready_because() is None

    run(body)


def test_close_answers_what_waits(settings: Settings) -> None:
    async def body() -> None:
        async with running(settings, max_batch_size=2) as engine:
            tasks = [asyncio.create_task(engine.lane.answer(query())) for _ in range(5)]
            await asyncio.sleep(0)
            await engine.engine.close()
            assert len(await asyncio.gather(*tasks)) == 5

    run(body)
