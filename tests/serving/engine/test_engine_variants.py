"""Canary and shadow beside the champion."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from engine_bench import HeldModel, Running, query, run, running, until
from serving_standins import POISON

from plumbline.settings import Settings
from serving.engine.query import Query, Role
from serving.engine.release_hook import Outcome
from serving.engine.served_model import ServedModel, now
from serving.errors import RequestRefusedError


@dataclass
class Hook:
    """Sends those whose title begins with `new` to the canary."""

    shadowed: bool = False
    broken: bool = False
    outcomes: list[Outcome] = field(default_factory=list)

    def role_of(self, query: Query) -> Role:
        if self.broken:
            raise LookupError("no such split")
        return "canary" if query.posting.title.startswith("new") else "champion"

    def shadows(self, query: Query) -> bool:
        return self.shadowed

    def observe(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        if self.broken:
            raise LookupError("nowhere to write it down")


def _version(version: str, model: HeldModel | None = None) -> ServedModel:
    return ServedModel("word-count", "challenger", version, "cd" * 32, model or HeldModel(), now())


def _release(engine: Running, hook: Hook) -> Hook:
    engine.lane.release = hook
    return hook


def test_the_canary_answers_its_share_of_a_batch(settings: Settings) -> None:
    async def body() -> None:
        async with running(settings) as engine:
            hook = _release(engine, Hook())
            engine.lane.variants.canary = _version("2")
            answers = await asyncio.gather(*(engine.lane.answer(query(title)) for title in ("old", "new", "old")))
            assert [(answer.role, answer.model_version) for answer in answers] == [
                ("champion", "1"), ("canary", "2"), ("champion", "1"),
            ]  # fmt: skip
            assert sorted(engine.logged()["role"]) == ["canary", "champion", "champion"]
            assert sorted((outcome.role, outcome.version) for outcome in hook.outcomes) == [
                ("canary", "2"), ("champion", "1"), ("champion", "1"),
            ]  # fmt: skip
            assert {outcome.error for outcome in hook.outcomes} == {None}
            assert [(status.role, status.version) for status in engine.lane.status()] == [
                ("champion", "1"), ("canary", "2"),
            ]  # fmt: skip
            bulk = await engine.lane.answer_all([query("new"), query("old")])
            assert [getattr(answer, "role", None) for answer in bulk] == ["canary", "champion"]

    run(body)


def test_where_the_canary_fails_the_champion_answers(settings: Settings) -> None:
    async def body() -> None:
        async with running(settings) as engine:
            hook = _release(engine, Hook())
            broken = _version("2")
            broken.model.forward = None  # type: ignore[method-assign,assignment]
            engine.lane.variants.canary = broken
            answer = await engine.lane.answer(query("new"))
            assert (answer.role, answer.model_version) == ("champion", "1")
            assert [(outcome.role, outcome.version, outcome.error) for outcome in hook.outcomes] == [
                ("canary", "2", "TypeError"), ("champion", "1", None),
            ]  # fmt: skip
            assert list(engine.logged()["role"]) == ["champion"]

    run(body)


def test_what_no_variant_can_answer_is_refused_and_told_of_both(settings: Settings) -> None:
    async def body() -> None:
        async with running(settings) as engine:
            hook = _release(engine, Hook())
            engine.lane.variants.canary = _version("2", HeldModel())
            poisoned = query(POISON)
            hook.role_of = lambda _: "canary"  # type: ignore[method-assign]
            result = (await asyncio.gather(engine.lane.answer(poisoned), return_exceptions=True))[0]
            assert isinstance(result, RequestRefusedError)
            assert result.status == 500
            assert [(outcome.role, outcome.error) for outcome in hook.outcomes] == [
                ("canary", "ValueError"), ("champion", "ValueError"),
            ]  # fmt: skip

    run(body)


def test_a_canary_that_was_taken_away_meanwhile_is_not_missed(settings: Settings) -> None:
    async def body() -> None:
        async with running(settings) as engine:
            _release(engine, Hook())
            engine.lane.variants.canary = _version("2")
            engine.model.hold()
            first = asyncio.create_task(engine.lane.answer(query("old")))
            await engine.model.held()
            second = asyncio.create_task(engine.lane.answer(query("new")))
            await asyncio.sleep(0)
            engine.lane.variants.canary = None
            engine.model.go_on.set()
            assert [answer.role for answer in await asyncio.gather(first, second)] == ["champion", "champion"]

    run(body)


def test_the_shadow_is_asked_logged_and_never_heard(settings: Settings) -> None:
    async def body() -> None:
        async with running(settings) as engine:
            hook = _release(engine, Hook(shadowed=True))
            engine.lane.variants.shadow = _version("3")
            answer = await engine.lane.answer(query(request_id="mine"))
            assert (answer.role, answer.model_version) == ("champion", "1")
            await until(lambda: len(hook.outcomes) == 2)
            shadow = hook.outcomes[1]
            assert (shadow.role, shadow.version, shadow.label) == ("shadow", "3", "long")
            assert shadow.champion_label == "long"
            # The reader of the log leaves shadows out unless they are asked for.
            spool = engine.log.directory.glob("*.jsonl")
            lines = "".join(path.read_text() for path in spool)
            assert lines.count('"role":"shadow"') == 1
            assert lines.count('"role":"champion"') == 1

    run(body)


def test_the_shadow_waits_for_everybody_and_what_it_cannot_hold_is_dropped(settings: Settings) -> None:
    order: list[str] = []
    model = HeldModel("champion", order)

    async def body() -> None:
        async with running(settings, model=model, max_batch_size=1) as engine:
            hook = _release(engine, Hook(shadowed=True))
            engine.lane.variants.shadow = _version("3", HeldModel("shadow", order))
            model.hold()
            tasks = [asyncio.create_task(engine.lane.answer(query())) for _ in range(6)]
            await model.held()
            model.go_on.set()
            await asyncio.gather(*tasks)
            await until(lambda: len(hook.outcomes) == 8)
            # Two copies may wait, twice the size of a batch.
            assert order == ["champion"] * 6 + ["shadow"] * 2

    run(body)


def test_a_release_that_breaks_costs_no_answer(settings: Settings) -> None:
    async def body() -> None:
        async with running(settings) as engine:
            _release(engine, Hook(broken=True))
            engine.lane.variants.canary = _version("2")
            for _ in range(3):
                assert (await engine.lane.answer(query("new"))).role == "champion"

    run(body)
