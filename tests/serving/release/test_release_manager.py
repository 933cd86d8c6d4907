"""A version comes in under traffic and goes out again, by the registry's word and by a replica's own judgement."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable

import pytest
from release_lane import Running, running

from plumbline import paths
from plumbline.registry.models import ModelRegistry
from plumbline.settings import Settings
from serving.engine.query import Answer
from serving.errors import RequestRefusedError
from serving.prediction_log import read

Scenario = Callable[[Running], Awaitable[None]]


@pytest.fixture
def play(release_settings: Settings, registry: ModelRegistry) -> Callable[[Scenario], None]:
    """Runs a scenario on a lane of its own."""

    async def played(scenario: Scenario) -> None:
        async with running(release_settings, registry) as lane:
            await scenario(lane)

    return lambda scenario: asyncio.run(played(scenario))


async def _start(at: Running, weight: float | None = 0.3, *, shadow: bool = False) -> None:
    await asyncio.to_thread(at.releases.start, "2", "A test wants it in.", weight=weight, shadow=shadow)
    loaded = at.lane.variants
    await at.until(lambda: (loaded.canary or loaded.shadow) is not None)


def _over(at: Running) -> Callable[[], bool]:
    return lambda: _log(at)[-1] == "roll-back"


async def _roles(at: Running, number: int = 200) -> list[str]:
    return [(await at.ask(f"company {each}")).role for each in range(number)]


def _log(at: Running) -> list[str]:
    return [entry.what.removeprefix("release ") for entry in at.releases.history()]


def test_some_clients_get_the_canary_and_the_same_ones_again(play: Callable[[Scenario], None]) -> None:
    async def scenario(at: Running) -> None:
        assert set(await _roles(at, 20)) == {"champion"}
        await _start(at)
        assert at.models.by_version["2"].sizes, "it was not warmed up"
        roles = await _roles(at)
        assert 30 <= roles.count("canary") <= 90
        assert await _roles(at) == roles
        answer = await at.ask(f"company {roles.index('canary')}")
        assert (answer.model_version, answer.role) == ("2", "canary")
        assert {(await at.ask(f"company {each}", key="mine")).role for each in range(20)} in ({"canary"}, {"champion"})
        await asyncio.to_thread(at.releases.set_weight, 0.6, "More.")
        await at.until(lambda: at.manager.figures().weight == 0.6)
        more = await _roles(at)
        assert all(now == "canary" for before, now in zip(roles, more, strict=True) if before == "canary")
        await asyncio.to_thread(at.releases.abort, "Enough.")
        await at.until(lambda: at.lane.variants.canary is None)
        assert set(await _roles(at, 20)) == {"champion"}

    play(scenario)


def test_a_canary_that_was_deleted_is_taken_out(play: Callable[[Scenario], None]) -> None:
    async def scenario(at: Running) -> None:
        await _start(at)
        client = at.registry.tracking.client
        await asyncio.to_thread(client.delete_model_version, at.registry.name, "2")
        await at.until(lambda: at.lane.variants.canary is None)
        assert set(await _roles(at, 20)) == {"champion"}
        assert not at.releases.end("any", "2", "aborted", "It is gone already.")

    play(scenario)


def test_two_replicas_assign_alike(release_settings: Settings, registry: ModelRegistry) -> None:
    async def scenario() -> None:
        async with running(release_settings, registry) as first:
            await _start(first)
            before = await _roles(first)
            async with running(release_settings, registry) as second:
                await second.until(lambda: second.lane.variants.canary is not None)
                assert await _roles(second) == before
        async with running(release_settings, registry) as restarted:
            await restarted.until(lambda: restarted.lane.variants.canary is not None)
            assert await _roles(restarted) == before

    asyncio.run(scenario())


def test_a_canary_that_errs_is_taken_out_and_no_client_sees_it(play: Callable[[Scenario], None]) -> None:
    async def scenario(at: Running) -> None:
        await _start(at)
        good = await at.load(2, rate=200)
        at.models.by_version["2"].broken = True
        bad = await at.load(3, rate=200)
        assert all(isinstance(each, Answer) for each in (*good, *bad))
        assert at.lane.variants.canary is None
        assert at.manager.figures().rollbacks == 1
        await at.until(_over(at))
        assert at.registry.aliases() == {"champion": "1"}
        assert _log(at) == ["start", "breach", "roll-back"]
        breach = at.releases.history()[-1]
        assert breach.who.startswith("replica ")
        assert breach.numbers["canary"]["errors"] > 0
        assert breach.numbers["champion"]["errors"] == 0
        assert set(await _roles(at, 20)) == {"champion"}

    play(scenario)


def test_a_canary_that_is_slow_is_taken_out_though_it_makes_the_champion_late_too(
    play: Callable[[Scenario], None],
) -> None:
    async def scenario(at: Running) -> None:
        await _start(at, 0.1)
        await at.load(2, rate=100)
        at.models.by_version["2"].seconds = 0.55
        for _ in range(20):
            await at.load(1, rate=50)
            if at.lane.variants.canary is None:
                break
        await at.until(_over(at))
        assert "its own time" in at.releases.history()[-1].why

    play(scenario)


def test_an_equal_canary_stays(play: Callable[[Scenario], None]) -> None:
    async def scenario(at: Running) -> None:
        await _start(at)
        await at.load(6, rate=300)
        assert at.lane.variants.canary is not None
        evidence = at.manager.figures().log_evidence
        assert set(evidence) == {"errors", "late", "slow"}
        assert _log(at) == ["start"]

    play(scenario)


def test_a_poisoned_posting_is_held_against_no_canary(play: Callable[[Scenario], None]) -> None:
    async def scenario(at: Running) -> None:
        await _start(at)
        await at.load(1, rate=100)
        for model in at.models.by_version.values():
            model.broken = True  # what one version cannot answer, the other cannot either
        refused = await at.load(1, rate=100)
        assert not any(isinstance(each, Answer) for each in refused)
        for model in at.models.by_version.values():
            model.broken = False
        assert at.lane.variants.canary is not None
        await at.load(1, rate=100)
        assert at.lane.variants.canary is not None

    play(scenario)


def test_a_registry_that_is_away_delays_the_rollback_there_but_not_here(play: Callable[[Scenario], None]) -> None:
    async def scenario(at: Running) -> None:
        await _start(at)
        await at.load(1, rate=200)
        _rename_table(at.settings, "registered_model_aliases", "away")
        await at.load(1, rate=200)
        assert at.lane.variants.canary is not None, "a registry that is away ends no release"
        at.models.by_version["2"].broken = True
        answers = await at.load(3, rate=200)
        assert not any(isinstance(each, RequestRefusedError) and each.status == 500 for each in answers)
        assert at.lane.variants.canary is None
        await at.until(lambda: _log(at) == ["start", "breach"])
        _rename_table(at.settings, "away", "registered_model_aliases")
        await at.until(_over(at))
        assert at.lane.variants.canary is None, "it came back while the alias was still there"
        assert _log(at) == ["start", "breach", "roll-back"]

    play(scenario)


def _rename_table(settings: Settings, before: str, after: str) -> None:
    with sqlite3.connect(paths.tracking_dir(settings) / "mlflow.db", timeout=20) as database:
        database.execute(f"ALTER TABLE {before} RENAME TO {after}")


def test_a_shadow_answers_nobody_and_is_logged(play: Callable[[Scenario], None]) -> None:
    async def scenario(at: Running) -> None:
        await _start(at, None, shadow=True)
        answers = await at.load(2, rate=50)
        assert {each.role for each in answers if isinstance(each, Answer)} == {"champion"}
        assert len(answers) == 100
        await at.until(lambda: at.manager.figures().shadow_agrees > 50)
        shadows = read(at.settings, roles=["shadow"])
        assert set(shadows["model_version"]) == {"2"}
        assert len(shadows) >= at.manager.figures().shadow_agrees
        at.models.by_version["2"].broken = True
        await at.load(1, rate=50)
        await at.until(_over(at))

    play(scenario)


def test_clients_of_a_promoted_canary_never_see_the_old_version_again(play: Callable[[Scenario], None]) -> None:
    async def scenario(at: Running) -> None:
        await _start(at)
        company = f"company {(await _roles(at)).index('canary')}"
        await asyncio.to_thread(at.releases.promote, "It does well.")
        await asyncio.sleep(0.3)
        assert (await at.ask(company)).model_version == "2"
        at.models.alias = "2"  # the champion's own thread follows only now
        await at.until(lambda: at.lane.variants.canary is None)
        answer = await at.ask(company)
        assert (answer.model_version, answer.role) == ("2", "champion")

    play(scenario)


def test_a_version_that_does_not_load_is_no_canary(play: Callable[[Scenario], None]) -> None:
    async def scenario(at: Running) -> None:
        at.models.broken.add("2")
        await asyncio.to_thread(at.releases.start, "2", "A test wants it in.", weight=1.0, shadow=False)
        await at.until(_over(at))
        assert at.models.loads.count("2") == 3
        assert at.manager.figures().failed_loads == 3
        assert "does not load: ValueError: version 2 is broken" in at.releases.history()[-1].why
        assert set(await _roles(at, 20)) == {"champion"}

    play(scenario)


def test_a_canary_that_hangs_is_taken_out_while_it_hangs(
    play: Callable[[Scenario], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.release.manager._HANG_SECONDS", 0.2)
    monkeypatch.setattr("serving.release.manager._HANG_BUDGETS", 0.2)

    async def scenario(at: Running) -> None:
        await _start(at, 1.0)
        at.models.by_version["2"].seconds = 3.0
        hanging = asyncio.create_task(at.ask())
        await at.until(_over(at))
        assert not hanging.done()
        assert "computing one batch" in at.releases.history()[-1].why
        await asyncio.gather(hanging, return_exceptions=True)

    play(scenario)


def test_a_version_under_which_processes_die_is_not_loaded_again(
    release_settings: Settings, registry: ModelRegistry
) -> None:
    async def scenario() -> None:
        async with running(release_settings, registry) as clean:
            await _start(clean)
            folder = release_settings.home / "serving" / clean.lane.name
            (marker,) = folder.iterdir()
        assert not marker.exists(), "a stop in order is no death"
        marker.write_text("1\n2\n")
        async with running(release_settings, registry) as third:
            await third.until(_over(third))
            assert "2" not in third.models.loads
            assert "2 processes of this replica died" in third.releases.history()[-1].why
        assert not marker.exists()

    asyncio.run(scenario())
