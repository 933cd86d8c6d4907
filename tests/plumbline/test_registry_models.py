"""The registry: aliases, their order of change, integrity, and several processes at once."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from registered_versions import copy_database, register
from sqlalchemy import Engine, event

from plumbline import paths
from plumbline.errors import GateRefusedError, IntegrityError, MissingInputError
from plumbline.registry.models import TAG_PARITY, ModelRegistry
from plumbline.settings import Settings


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mlflow") / "mlflow.db"


@pytest.fixture(autouse=True)
def _database(settings: Settings, whole: Path) -> None:
    copy_database(settings, whole)


@pytest.fixture
def registry(settings: Settings) -> ModelRegistry:
    return ModelRegistry(settings)


def _register(registry: ModelRegistry, tmp_path: Path, name: str, **tags: str) -> str:
    return register(registry, tmp_path / name, **tags)


def _aliases(registry: ModelRegistry) -> tuple[str | None, str | None, str | None]:
    champion, previous, challenger = (registry.version_of(name) for name in ("champion", "previous", "challenger"))
    return champion, previous, challenger


def test_an_empty_registry_knows_no_alias(registry: ModelRegistry) -> None:
    assert _aliases(registry) == (None, None, None)
    assert registry.list() == []
    with pytest.raises(MissingInputError, match="alias champion"):
        registry.fetch("champion")
    with pytest.raises(MissingInputError, match="no version 7"):
        registry.get("7")


def test_registering_sets_no_alias(registry: ModelRegistry, tmp_path: Path) -> None:
    assert _register(registry, tmp_path, "a") == "1"
    assert _aliases(registry) == (None, None, None)


def test_promotion_moves_the_champion_to_previous_and_clears_challenger(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    first, second = _register(registry, tmp_path, "a"), _register(registry, tmp_path, "b")
    registry.promote(first, "The first.")
    registry.challenge(second)
    assert _aliases(registry) == ("1", None, "2")
    registry.promote(second, "Better.", numbers={"difference": 0.1})
    assert _aliases(registry) == ("2", "1", None)
    registry.promote(second, "Again.")
    assert _aliases(registry) == ("2", "1", None)
    assert [found.aliases for found in registry.list()] == [("champion",), ("previous",)]


def test_rollback_goes_back_and_never_forth(registry: ModelRegistry, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        registry.promote(_register(registry, tmp_path, name), "Better.")
    assert registry.rollback("It answers nonsense.") == "2"
    assert _aliases(registry) == ("2", "1", None)
    assert registry.rollback("So does this one.") == "1"
    assert _aliases(registry) == ("1", None, None)
    with pytest.raises(MissingInputError, match="no previous champion"):
        registry.rollback("And this one.")
    assert registry.version_of("champion") == "1"
    registry.promote("3", "Its input was broken, not the model.")
    assert _aliases(registry) == ("3", "1", None)


def test_a_rejected_version_needs_an_explicit_override(registry: ModelRegistry, tmp_path: Path) -> None:
    version = _register(registry, tmp_path, "a", verdict="reject")
    with pytest.raises(GateRefusedError, match="--override-gate"):
        registry.promote(version, "I like it.")
    assert registry.version_of("champion") is None
    registry.promote(version, "I know better.", override_gate=True)
    assert registry.version_of("champion") == version
    assert registry.history()[-1].numbers["override_gate"] is True


def test_a_promotion_by_hand_carries_the_parity_of_the_verdict(registry: ModelRegistry, tmp_path: Path) -> None:
    parity = {"key": "features/parity/s/f/r.json", "share": 1.0, "checked": 1_000}
    version = _register(registry, tmp_path, "a", **{TAG_PARITY: json.dumps(parity)})
    registry.promote(version, "By hand.")
    assert registry.history()[-1].numbers["parity"] == parity


def test_an_alias_stands_for_its_version(registry: ModelRegistry, tmp_path: Path) -> None:
    for name in "ab":
        registry.challenge(_register(registry, tmp_path, name))
        registry.promote("challenger", "Better.")
    registry.challenge("1")
    registry.reject("challenger", "Worse.")
    assert _aliases(registry) == ("2", None, None)


def test_rejecting_takes_the_challenger_alias_away(registry: ModelRegistry, tmp_path: Path) -> None:
    version = _register(registry, tmp_path, "a")
    registry.challenge(version)
    registry.reject(version, "Worse.", numbers={"difference": -0.1})
    assert _aliases(registry) == (None, None, None)


def test_history_tells_who_what_why_and_the_numbers(registry: ModelRegistry, tmp_path: Path) -> None:
    registry.promote(_register(registry, tmp_path, "a"), "The first.", numbers={"accuracy": 0.8})
    registered, promoted = registry.history()
    assert (registered.what, promoted.what) == ("register", "promote")
    assert promoted.subject == f"{registry.name}/1"
    assert promoted.why == "The first."
    assert promoted.numbers == {"before": None, "override_gate": False, "accuracy": 0.8}
    assert "@" in promoted.who
    assert promoted.when.endswith("+00:00")


def test_fetch_reads_a_local_registry_in_place(registry: ModelRegistry, tmp_path: Path) -> None:
    registry.promote(_register(registry, tmp_path, "a"), "The first.")
    loaded = registry.fetch("champion")
    assert loaded.version == "1"
    assert loaded.path == tmp_path / "a" / "artifacts" / "posting_model"
    assert loaded.reference == loaded.path.parent / "reference.parquet"
    assert loaded.card is None


def test_fetch_refuses_changed_content(registry: ModelRegistry, tmp_path: Path) -> None:
    version = _register(registry, tmp_path, "a")
    config = registry.fetch(version).path / "config.json"
    config.write_text(config.read_text().replace("a", "b"))
    with pytest.raises(IntegrityError, match="not what was registered"):
        registry.fetch(version)


def test_fetch_says_when_the_files_are_gone(registry: ModelRegistry, tmp_path: Path) -> None:
    version = _register(registry, tmp_path, "a")
    (tmp_path / "a").rename(tmp_path / "elsewhere")
    with pytest.raises(MissingInputError, match="Train it again"):
        registry.fetch(version)


def test_nothing_is_registered_whose_files_are_missing(registry: ModelRegistry, tmp_path: Path) -> None:
    with pytest.raises(MissingInputError):
        registry.register("0" * 32, artifact_uri=str(tmp_path / "nowhere"), tags={})
    assert registry.list() == []


_WATCH = """
import sys, time
from plumbline.registry.models import ModelRegistry
from plumbline.settings import load_settings
registry = ModelRegistry(load_settings(home=sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
seen = set()
end = time.monotonic() + 1.5
while time.monotonic() < end:
    seen.add(registry.version_of("champion"))
print(sorted(seen))
"""


def test_a_watcher_reads_while_another_process_writes(
    registry: ModelRegistry, settings: Settings, tmp_path: Path
) -> None:
    first, second = _register(registry, tmp_path, "a"), _register(registry, tmp_path, "b")
    with subprocess.Popen(
        [sys.executable, "-c", _WATCH, str(settings.home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as watcher:
        assert watcher.stdout is not None
        assert watcher.stdin is not None
        assert watcher.stdout.readline() == "ready\n"
        registry.promote(first, "The first.")
        watcher.stdin.write("go\n")
        watcher.stdin.flush()
        end = time.monotonic() + 1.0
        while time.monotonic() < end:
            registry.promote(second, "Better.")
            registry.promote(first, "Better.")
        answer = watcher.stdout.read()
        assert watcher.wait() == 0
    assert answer == f"{[first, second]}\n"


def test_what_serving_polls_costs_the_same_few_statements_however_many_versions_there_are(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    registry.promote(_register(registry, tmp_path, "a"), "The first.")
    statements: list[str] = []

    def note(*arguments: Any) -> None:
        statements.append(arguments[2])

    event.listen(Engine, "before_cursor_execute", note)
    try:
        registry.version_of("champion")
        alone = len(statements)
        for name in "bcdef":
            _register(registry, tmp_path, name)
        statements.clear()
        registry.version_of("champion")
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert 0 < alone == len(statements), statements


def test_processes_that_start_together_create_one_database(settings: Settings) -> None:
    code = (
        "import sys; from plumbline.settings import load_settings; from plumbline.registry.tracking import configure;"
        "print(configure(load_settings(home=sys.argv[1])).experiment_id)"
    )
    (paths.tracking_dir(settings) / "mlflow.db").unlink()
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(settings.home)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    answers = {process.communicate()[0].strip() for process in started}
    assert [process.returncode for process in started] == [0, 0]
    assert len(answers) == 1
    assert not list(paths.tracking_dir(settings).glob("*.incoming*"))
