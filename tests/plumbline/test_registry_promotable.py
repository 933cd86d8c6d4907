"""No verdict is no: what a version must have before it is promoted, and which of it a person may override."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import mlflow
import pytest
from registered_versions import copy_database, register
from typer.testing import CliRunner

from plumbline.cli.models import app
from plumbline.errors import GateRefusedError, MissingInputError
from plumbline.registry.digest import folder_digest
from plumbline.registry.models import TAG_DIGEST, TAG_VERDICT, ModelRegistry
from plumbline.registry.promotable import override_command
from plumbline.registry.releases import Releases
from plumbline.settings import Settings

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mlflow") / "mlflow.db"


@pytest.fixture
def registry(settings: Settings, whole: Path, monkeypatch: pytest.MonkeyPatch) -> ModelRegistry:
    copy_database(settings, whole)
    monkeypatch.setenv("PLUMBLINE_HOME", str(settings.home))
    return ModelRegistry(settings)


class Pickled(mlflow.pyfunc.PythonModel):  # type: ignore[misc]  # MLflow's class has no types
    """A model as people log it with MLflow's own client."""

    def predict(self, context: Any, model_input: list[str], params: Any = None) -> list[str]:
        """One answer for all."""
        return ["a"] * len(model_input)


def _by_hand(registry: ModelRegistry, source: Path, **tags: str) -> str:
    """A version that MLflow's own client has registered."""
    client = registry.tracking.client
    if not registry.list():
        client.create_registered_model(registry.name)
    return str(client.create_model_version(registry.name, source=str(source), tags=tags).version)


def _loadable(tmp_path: Path) -> Path:
    model = tmp_path / "by-hand" / "artifacts" / "posting_model"
    model.mkdir(parents=True)
    (model / "config.json").write_text("{}")
    return model.parent.parent


def test_a_pickled_model_is_refused_whatever_it_is_tagged_with(registry: ModelRegistry, tmp_path: Path) -> None:
    mlflow.pyfunc.save_model(tmp_path / "pickled", python_model=Pickled(), pip_requirements=[])
    version = _by_hand(registry, tmp_path / "pickled", **{TAG_DIGEST: "0" * 64, TAG_VERDICT: "promote"})
    for override in (False, True):
        with pytest.raises(MissingInputError, match=r"posting_model.*pickled.*pipeline run training"):
            registry.promote(version, "It is good.", override_gate=override)
    assert registry.version_of("champion") is None
    assert registry.history() == []


def test_no_override_stands_for_a_missing_digest(registry: ModelRegistry, tmp_path: Path) -> None:
    version = _by_hand(registry, _loadable(tmp_path), **{TAG_VERDICT: "promote"})
    for override in (False, True):
        with pytest.raises(MissingInputError, match=r"no tag plumbline.digest.*pipeline run training"):
            registry.promote(version, "It is good.", override_gate=override)
    assert registry.version_of("champion") is None


def test_a_folder_without_a_model_in_it_is_refused(registry: ModelRegistry, tmp_path: Path) -> None:
    source = _loadable(tmp_path)
    (source / "artifacts" / "posting_model" / "config.json").rename(source / "artifacts" / "posting_model" / "x")
    version = _by_hand(registry, source, **{TAG_DIGEST: folder_digest(source / "artifacts"), TAG_VERDICT: "promote"})
    with pytest.raises(MissingInputError, match=r"config\.json is missing"):
        registry.promote(version, "It is good.", override_gate=True)


@pytest.mark.parametrize("verdict", [None, "good enough"])
def test_without_a_verdict_the_command_that_the_refusal_names_promotes(
    registry: ModelRegistry, tmp_path: Path, verdict: str | None
) -> None:
    source = _loadable(tmp_path)
    tags = {TAG_DIGEST: folder_digest(source / "artifacts")} | ({} if verdict is None else {TAG_VERDICT: verdict})
    version = _by_hand(registry, source, **tags)
    with pytest.raises(MissingInputError, match="has no verdict") as refused:
        registry.promote(version, "It is good.")
    command = override_command(version)
    assert command in str(refused.value)
    assert registry.version_of("champion") is None
    done = RUNNER.invoke(app, shlex.split(command)[2:], catch_exceptions=False)
    assert done.exit_code == 0
    assert registry.version_of("champion") == version
    assert registry.history()[-1].numbers["override_gate"] is True


def test_the_command_refuses_with_2_and_one_sentence(
    registry: ModelRegistry, tmp_path: Path, run_plumbline: Any
) -> None:
    version = register(registry, tmp_path / "a", verdict=None)
    done = run_plumbline("models", "promote", version, "--reason", "It is good.")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert override_command(version) in " ".join(done.stderr.split())


def test_no_canary_without_a_verdict_or_without_its_files(
    registry: ModelRegistry, settings: Settings, tmp_path: Path
) -> None:
    registry.promote(register(registry, tmp_path / "a"), "The first.")
    releases = Releases(settings, registry)
    with pytest.raises(MissingInputError, match="has no verdict"):
        releases.start(register(registry, tmp_path / "b", verdict=None), "Try it.", weight=0.1, shadow=False)
    with pytest.raises(GateRefusedError):
        releases.start(register(registry, tmp_path / "c", verdict="reject"), "Try it.", weight=0.1, shadow=False)
    lost = register(registry, tmp_path / "d")
    (tmp_path / "d").rename(tmp_path / "elsewhere")
    with pytest.raises(MissingInputError, match="files are gone"):
        releases.start(lost, "Try it.", weight=0.1, shadow=False)
    assert registry.aliases() == {"champion": "1"}
