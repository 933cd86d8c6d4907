"""What serving makes of an alias that somebody moved by other means, or whose version was deleted: a real registry."""

from __future__ import annotations

import logging
import re
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from registered_versions import copy_database, register
from serving_standins import Features, LoadableModel
from starlette.testclient import TestClient
from typer.testing import CliRunner

from plumbline.cli.models import app
from plumbline.errors import MissingInputError
from plumbline.registry.models import CHAMPION, ModelRegistry
from plumbline.registry.ui import free_port
from plumbline.settings import Settings, load_settings
from serving.engine.registry_source import RegistryModels
from serving.replica import Replica
from serving.run import run


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mlflow") / "mlflow.db"


@pytest.fixture
def registry(tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch) -> ModelRegistry:
    """Version 1 is the champion; 2 was never judged."""
    settings = load_settings(home=tmp_path / "home")
    monkeypatch.setenv("PLUMBLINE_HOME", str(settings.home))
    for name in ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"):
        monkeypatch.setenv(name, "7")  # serving sets them; here they must be as before afterwards
    copy_database(settings, whole)
    found = ModelRegistry(settings)
    found.promote(register(found, tmp_path / "a", config=LoadableModel.CONFIG), "The first.")
    register(found, tmp_path / "b", config=LoadableModel.CONFIG, verdict=None)
    return found


def _settings(**serving: Any) -> Settings:
    return load_settings(serving={"alias_poll_seconds": 0.02, "grpc_port": 0, **serving})


@contextmanager
def _replica(**serving: Any) -> Iterator[TestClient]:
    settings = _settings(**serving)
    replica = Replica(settings, models=lambda name: RegistryModels(settings, name), features=Features())
    with TestClient(replica.app) as client:
        yield client
        assert client.portal is not None
        client.portal.call(replica.close)


def _champion(client: TestClient) -> dict[str, Any]:
    return cast(dict[str, Any], client.get("/v1/models").json()["models"][0])


def _wait_for(client: TestClient, state: str, version: str) -> dict[str, Any]:
    """Waits for the state of the alias while this version is served; gives how the alias is followed."""
    deadline = time.monotonic() + 10
    while True:
        seen = _champion(client)
        if (seen["following"]["state"], seen["version"]) == (state, version):
            break
        assert time.monotonic() < deadline, seen
        time.sleep(0.01)
    assert client.get("/readyz").status_code == 200
    page = client.get("/metrics").text
    shown = re.findall(r'plumbline_model_alias_state\{model="[^"]+",state="(\w+)"\} 1\.0', page)
    assert shown == [state]
    return cast(dict[str, Any], seen["following"])


def _carry_out(advice: str, command: str) -> None:
    """Runs the command that the advice names."""
    (found,) = re.findall(rf"`plumbline (models {command}[^`]*)`", advice)
    done = CliRunner().invoke(app, shlex.split(found)[1:], catch_exceptions=False)
    assert done.exit_code == 0


def _give_by_hand(registry: ModelRegistry, version: str) -> None:
    registry.tracking.client.set_registered_model_alias(registry.name, CHAMPION, version)


def test_what_nothing_covers_is_not_served_until_the_advice_is_carried_out(
    registry: ModelRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    with _replica() as client, caplog.at_level(logging.ERROR, "serving"):
        assert _wait_for(client, "followed", "1")["reason"] is None
        _give_by_hand(registry, "2")
        following = _wait_for(client, "uncovered", "1")
        assert following["version"] == "2"
        assert "no verdict" in following["reason"]
        assert following["reason"] in caplog.text
        _carry_out(following["reason"], "promote")
        assert _wait_for(client, "followed", "2")["version"] == "2"
    assert registry.history()[-1].subject.endswith("/2")


def test_by_setting_it_is_served_and_said_not_to_be_covered(
    registry: ModelRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    with _replica(follow="any") as client, caplog.at_level(logging.ERROR, "serving"):
        _give_by_hand(registry, "2")
        following = _wait_for(client, "uncovered", "2")
        assert f"Serving version 2. {following['reason']}" in caplog.text
        _carry_out(following["reason"], "promote")
        _wait_for(client, "followed", "2")


def test_nothing_starts_on_an_uncovered_champion_until_the_advice_is_carried_out(registry: ModelRegistry) -> None:
    _give_by_hand(registry, "2")
    with pytest.raises(MissingInputError) as refused, _replica():
        pass
    settings = _settings(port=free_port())
    with pytest.raises(MissingInputError, match=r"serving\.follow") as command:
        run(settings, lambda _: None, step=_quiet)
    assert str(refused.value) in str(command.value)
    _carry_out(str(command.value), "promote")
    with _replica() as client:
        _wait_for(client, "followed", "2")


def test_the_advice_about_another_model_names_it(
    registry: ModelRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ModelRegistry(load_settings(tracking={"model_name": "other"}))
    version = register(other, tmp_path / "o", config=LoadableModel.CONFIG, verdict=None)
    _give_by_hand(other, version)
    advice = RegistryModels(_settings(models={"other": {}}), "other").uncovered_because(version)
    assert advice is not None
    commands = re.findall(r"`PLUMBLINE_TRACKING__MODEL_NAME=other plumbline (models [^`]+)`", advice)
    monkeypatch.setenv("PLUMBLINE_TRACKING__MODEL_NAME", "other")
    for words, command in zip(commands, ("show", "promote"), strict=True):
        assert shlex.split(words)[1] == command
        assert CliRunner().invoke(app, shlex.split(words)[1:], catch_exceptions=False).exit_code == 0
    assert RegistryModels(_settings(models={"other": {}}), "other").uncovered_because(version) is None
    assert registry.version_of(CHAMPION) == "1"


def test_a_version_that_was_taken_out_is_not_served_again_by_an_alias_alone(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    third = register(registry, tmp_path / "c", config=LoadableModel.CONFIG)
    registry.promote(third, "Better.")
    registry.rollback("It answers nonsense.")
    fourth = register(registry, tmp_path / "d", config=LoadableModel.CONFIG)
    registry.reject(fourth, "A person looked at it.")
    with _replica() as client:
        for version, why in ((third, "rolled back"), (fourth, "rejected")):
            _give_by_hand(registry, version)
            deadline = time.monotonic() + 10
            while _champion(client)["following"]["version"] != version:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            assert why in _wait_for(client, "uncovered", "1")["reason"]


def test_a_champion_that_was_deleted_is_served_on_and_missed_loudly(
    registry: ModelRegistry, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    second = register(registry, tmp_path / "c", config=LoadableModel.CONFIG)
    registry.promote(second, "Better.")
    with _replica() as client, caplog.at_level(logging.ERROR, "serving"):
        registry.tracking.client.delete_model_version(registry.name, second)
        following = _wait_for(client, "gone", second)
        assert following["version"] is None
        assert following["reason"] in caplog.text
        _carry_out(following["reason"], "rollback")
        _wait_for(client, "followed", "1")


@contextmanager
def _quiet(_: str) -> Iterator[None]:
    yield
