"""Releases in the registry: aliases and tags in the right order, one at a time, each change in the audit log."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from registered_versions import copy_database, register

from plumbline import paths
from plumbline.errors import DependencyError, GateRefusedError, MissingInputError, UserError
from plumbline.registry.models import ModelRegistry
from plumbline.registry.releases import TAG_LIMITS, Releases
from plumbline.settings import Settings, load_settings


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mlflow") / "mlflow.db"


@pytest.fixture
def registry(settings: Settings, whole: Path, tmp_path: Path) -> ModelRegistry:
    """Version 1 is the champion; 2 is as good, 3 was rejected by the gate."""
    copy_database(settings, whole)
    found = ModelRegistry(settings)
    for name, verdict in (("a", "promote"), ("b", "promote"), ("c", "reject")):
        register(found, tmp_path / name, verdict=verdict)
    found.promote("1", "The first.")
    return found


@pytest.fixture
def releases(settings: Settings, registry: ModelRegistry) -> Releases:
    return Releases(settings, registry)


def _log(releases: Releases) -> list[str]:
    return [entry.what for entry in releases.history()]


def test_a_canary_is_an_alias_and_the_versions_tags(releases: Releases, registry: ModelRegistry) -> None:
    assert releases.current() is None
    started = releases.start("2", "Let it in.", weight=0.1, shadow=False)
    assert releases.current() == started
    assert (started.canary, started.shadow, started.weight, started.ending) == (True, False, 0.1, None)
    assert registry.aliases() == {"champion": "1", "canary": "2"}
    (entry,) = releases.history()
    assert (entry.what, entry.why, entry.numbers["weight"]) == ("release start", "Let it in.", 0.1)
    assert entry.numbers["limits"]["alpha"] == 0.01


def test_a_shadow_may_become_a_canary_beside_that(releases: Releases, registry: ModelRegistry) -> None:
    started = releases.start("2", "Look at it.", weight=None, shadow=True)
    assert (started.canary, started.shadow) == (False, True)
    changed = releases.set_weight(0.2, "It agrees with the champion.")
    assert (changed.id, changed.canary, changed.shadow, changed.weight) == (started.id, True, True, 0.2)
    assert registry.aliases() == {"champion": "1", "canary": "2", "shadow": "2"}
    assert releases.history()[-1].numbers == {"release": started.id, "before": 0.0, "weight": 0.2}


def test_promotion_ends_the_release(releases: Releases, registry: ModelRegistry) -> None:
    releases.start("2", "Let it in.", weight=0.1, shadow=True)
    done = releases.promote("It does well.", {"requests": 900})
    assert done.ending == "promoted"
    assert registry.aliases() == {"champion": "2", "previous": "1"}
    assert releases.current() is None
    assert _log(releases) == ["release start", "release promote"]
    assert registry.history()[-1].numbers["requests"] == 900


def test_models_promote_ends_it_too(releases: Releases, registry: ModelRegistry) -> None:
    releases.start("2", "Let it in.", weight=0.1, shadow=False)
    registry.promote("2", "By hand.")
    assert releases.current() is None
    latest = releases.latest_of("2")
    assert latest is not None
    assert latest.ending == "promoted"


def test_only_the_release_that_is_meant_is_ended_and_once(releases: Releases, registry: ModelRegistry) -> None:
    first = releases.start("2", "Let it in.", weight=0.1, shadow=True)
    assert not releases.end("another", "2", "rolled_back", "It errs.")
    assert releases.end(first.id, "2", "rolled_back", "It errs.", numbers={"errors": 8}, who="replica a")
    assert not releases.end(first.id, "2", "rolled_back", "It errs.", who="replica b")
    assert registry.aliases() == {"champion": "1"}
    assert _log(releases) == ["release start", "release roll-back"]
    assert (releases.history()[-1].who, releases.history()[-1].numbers["errors"]) == ("replica a", 8)
    second = releases.start("2", "Its input was broken.", weight=0.1, shadow=False)
    assert second.id != first.id
    assert (second.ending, second.ended_at, second.why) == (None, None, None)


def test_an_alias_that_a_killed_process_left_is_no_release(releases: Releases, registry: ModelRegistry) -> None:
    started = releases.start("2", "Let it in.", weight=0.1, shadow=False)
    releases.end(started.id, "2", "rolled_back", "It errs.")
    registry.point("canary", "2")
    assert releases.current() is None


def test_what_may_not_be_released(releases: Releases, registry: ModelRegistry) -> None:
    with pytest.raises(GateRefusedError, match="rejected version 3"):
        releases.start("3", "I like it.", weight=0.1, shadow=False)
    with pytest.raises(UserError, match="is the champion"):
        releases.start("1", "Again.", weight=0.1, shadow=False)
    with pytest.raises(MissingInputError, match="no version 9"):
        releases.start("9", "Soon.", weight=0.1, shadow=False)
    with pytest.raises(UserError, match="from 0 to 1"):
        releases.start("2", "All.", weight=5, shadow=False)
    with pytest.raises(UserError, match="a weight, or"):
        releases.start("2", "None.", weight=None, shadow=False)
    assert registry.aliases() == {"champion": "1"}
    assert releases.history() == []


def test_one_release_at_a_time(releases: Releases, registry: ModelRegistry, tmp_path: Path) -> None:
    fourth = register(registry, tmp_path / "d")
    releases.start("2", "Let it in.", weight=0.1, shadow=False)
    with pytest.raises(UserError, match="release of version 2 goes on"):
        releases.start(fourth, "This too.", weight=0.1, shadow=False)
    assert releases.abort("Enough.").ending == "aborted"
    assert releases.start(fourth, "Now this.", weight=0.1, shadow=False).version == fourth


def test_without_a_champion_there_is_nothing_to_compare_with(settings: Settings, whole: Path, tmp_path: Path) -> None:
    copy_database(settings, whole)
    registry = ModelRegistry(settings)
    register(registry, tmp_path / "a")
    with pytest.raises(MissingInputError, match="no champion"):
        Releases(settings, registry).start("1", "Let it in.", weight=0.1, shadow=False)


@pytest.mark.parametrize("change", ["promote", "abort", "set_weight"])
def test_without_a_release_there_is_nothing_to_change(releases: Releases, change: str) -> None:
    arguments = (0.2, "Why not.") if change == "set_weight" else ("Why not.",)
    with pytest.raises(MissingInputError, match="No release goes on"):
        getattr(releases, change)(*arguments)


def test_it_is_judged_by_the_settings_it_was_started_with(settings: Settings, registry: ModelRegistry) -> None:
    strict = load_settings(home=settings.home, serving={"release": {"alpha": 0.2}})
    Releases(strict, registry).start("2", "Let it in.", weight=0.1, shadow=False)
    tags = registry.get("2").tags
    registry.set_tags("2", {TAG_LIMITS: tags[TAG_LIMITS].replace("{", '{"of_a_later_plumbline": 1,', 1)})
    found = Releases(settings, registry).current()
    assert found is not None
    assert found.limits.alpha == 0.2


def test_a_registry_that_fails_is_not_a_registry_without_a_release(settings: Settings, releases: Releases) -> None:
    releases.start("2", "Let it in.", weight=0.1, shadow=False)
    with sqlite3.connect(paths.tracking_dir(settings) / "mlflow.db") as database:
        database.execute("ALTER TABLE registered_model_aliases RENAME TO away")
    with pytest.raises(DependencyError, match="registry does not answer"):
        releases.current()
    with sqlite3.connect(paths.tracking_dir(settings) / "mlflow.db") as database:
        database.execute("ALTER TABLE away RENAME TO registered_model_aliases")
    assert releases.current() is not None
