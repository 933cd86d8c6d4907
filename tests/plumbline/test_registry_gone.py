"""Promotion and rollback where versions were deleted, files are gone, or somebody else moved an alias."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from registered_versions import copy_database, register
from typer.testing import CliRunner

from plumbline.cli.models import app
from plumbline.cli.status import status
from plumbline.errors import MissingInputError
from plumbline.registry.models import CHAMPION, TAG_AS_OF, ModelRegistry
from plumbline.registry.steps.gate import champion_of
from plumbline.settings import Settings


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mlflow") / "mlflow.db"


@pytest.fixture
def registry(settings: Settings, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelRegistry:
    """Versions 1, 2 and 3 were promoted one after another; 4 waits."""
    copy_database(settings, whole)
    monkeypatch.setenv("PLUMBLINE_HOME", str(settings.home))
    found = ModelRegistry(settings)
    for name in "abc":
        found.promote(register(found, tmp_path / name), "Better.")
    register(found, tmp_path / "d")
    return found


def _delete(registry: ModelRegistry, *versions: str) -> None:
    for version in versions:
        registry.tracking.client.delete_model_version(registry.name, version)


def _give_by_hand(registry: ModelRegistry, version: str) -> None:
    registry.tracking.client.set_registered_model_alias(registry.name, CHAMPION, version)


def test_rollback_returns_to_the_one_before_a_deleted_champion(registry: ModelRegistry) -> None:
    _delete(registry, "3")
    assert registry.rollback("It was deleted.") == "2"
    assert registry.aliases() == {"champion": "2", "previous": "1"}
    assert registry.history()[-1].numbers == {"removed": None}


def test_rollback_passes_over_a_deleted_previous_champion(registry: ModelRegistry) -> None:
    _delete(registry, "2")
    assert registry.rollback("It answers nonsense.") == "1"
    assert registry.aliases() == {"champion": "1"}


def test_rollback_finds_the_last_one_where_champion_and_previous_were_deleted(registry: ModelRegistry) -> None:
    _delete(registry, "3", "2")
    assert registry.rollback("They were deleted.") == "1"
    assert registry.aliases() == {"champion": "1"}
    _delete(registry, "1")
    with pytest.raises(MissingInputError, match="no previous champion"):
        registry.rollback("It was deleted.")


@pytest.mark.parametrize(("version", "previous"), [("2", "1"), ("4", "2"), ("1", "2")])
def test_a_promotion_after_a_deleted_champion_leaves_previous_to_another_version(
    registry: ModelRegistry, version: str, previous: str
) -> None:
    _delete(registry, "3")
    registry.promote(version, "In place of the deleted one.")
    assert registry.aliases() == {"champion": version, "previous": previous}


def test_the_only_version_left_has_no_previous_one(registry: ModelRegistry) -> None:
    _delete(registry, "3", "1")
    registry.promote("2", "In place of the deleted one.")
    assert registry.aliases() == {"champion": "2"}


def test_what_was_named_by_hand_is_neither_returned_to_nor_skips_the_champion_before(registry: ModelRegistry) -> None:
    registry.reject("4", "A person looked at it.")
    _give_by_hand(registry, "4")
    assert registry.rollback("Nobody promoted it.") == "3"
    assert registry.aliases() == {"champion": "3", "previous": "2"}
    _give_by_hand(registry, "4")
    registry.promote("2", "A person compared them.")
    assert registry.aliases() == {"champion": "2", "previous": "3"}


def test_a_rejected_version_is_not_returned_to(registry: ModelRegistry) -> None:
    registry.reject("2", "It was wrong, too.")
    assert registry.rollback("It answers nonsense.") == "1"


def test_the_gate_goes_on_where_the_champion_cannot_be_compared_with(registry: ModelRegistry, tmp_path: Path) -> None:
    assert champion_of(registry, "3") == (
        None,
        "The champion, version 3, cannot be compared with: Model version 3 has no tag "
        "plumbline.as_of, so that nobody knows which rows it has not seen.",
    )
    registry.set_tags("3", {TAG_AS_OF: "2026-03-01T00:00:00+00:00"})
    loaded, nothing = champion_of(registry, "3")
    assert (loaded is None, nothing) == (False, None)
    (tmp_path / "c" / "artifacts" / "posting_model" / "config.json").write_text("{}")
    assert "is not what was registered." in str(champion_of(registry, "3")[1])
    (tmp_path / "c").rename(tmp_path / "elsewhere")
    assert "files are gone." in str(champion_of(registry, "3")[1])


def test_compare_and_history_where_versions_or_files_are_gone(registry: ModelRegistry, tmp_path: Path) -> None:
    _delete(registry, "3")
    (tmp_path / "b").rename(tmp_path / "elsewhere")
    for words, said in ((("champion", "1"), "alias champion"), (("3", "1"), "no version 3"), (("1", "2"), "are gone")):
        with pytest.raises(MissingInputError, match=said):
            CliRunner().invoke(app, ["compare", *words], catch_exceptions=False)
    assert [entry.subject for entry in registry.history() if entry.what == "promote"] == [
        f"{registry.name}/{version}" for version in "123"
    ]


def test_status_tells_of_a_deleted_and_of_an_uncovered_champion(
    registry: ModelRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    def detail() -> str:
        status(as_json=True)
        rows = json.loads(capsys.readouterr().out)["rows"]
        return str(next(row["detail"] for row in rows if row["part"] == "champion"))

    assert detail() == ""
    registry.reject("4", "A person looked at it.")
    _give_by_hand(registry, "4")
    assert "neither the gate nor a promotion covers that: it was rejected" in detail()
    _delete(registry, "4")
    assert "`plumbline models rollback --reason ...`" in detail()
    assert CliRunner().invoke(app, ["rollback", "--reason", "..."], catch_exceptions=False).exit_code == 0
    assert detail() == ""


def test_no_rollback_to_files_that_are_gone_and_the_advice_works(registry: ModelRegistry, tmp_path: Path) -> None:
    (tmp_path / "b").rename(tmp_path / "elsewhere")
    with pytest.raises(MissingInputError, match="version 2, cannot be served") as refused:
        registry.rollback("It answers nonsense.")
    assert registry.aliases() == {"champion": "3", "previous": "2"}
    with pytest.raises(MissingInputError, match="files are gone"):
        CliRunner().invoke(app, ["card", "2"], catch_exceptions=False)
    assert "`plumbline models card 2`" in str(refused.value)
    line = "models promote VERSION --reason ..."
    assert f"`plumbline {line}`" in str(refused.value)
    done = CliRunner().invoke(app, shlex.split(line.replace("VERSION", "1"))[1:], catch_exceptions=False)
    assert done.exit_code == 0
    assert registry.version_of(CHAMPION) == "1"
