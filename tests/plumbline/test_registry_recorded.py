"""A verdict that stands in a version's tags alone is no verdict: the audit log has what was registered."""

from __future__ import annotations

import json
import logging
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow_server import MlflowServer
from registered_versions import copy_database, register
from typer.testing import CliRunner

from plumbline import paths
from plumbline.cli.models import app
from plumbline.errors import UserError
from plumbline.registry.models import TAG_DIGEST, TAG_VERDICT, ModelRegistry
from plumbline.registry.promotable import override_command
from plumbline.settings import Settings, load_settings
from plumbline.storage import open_store


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mlflow") / "mlflow.db"


@pytest.fixture
def registry(settings: Settings, whole: Path, monkeypatch: pytest.MonkeyPatch) -> ModelRegistry:
    copy_database(settings, whole)
    monkeypatch.setenv("PLUMBLINE_HOME", str(settings.home))
    return ModelRegistry(settings)


def _forged(registry: ModelRegistry, tmp_path: Path) -> str:
    """A version that somebody registered by hand with all the tags of one that was judged."""
    first = registry.get(register(registry, tmp_path / "real")).tags
    tags = {TAG_DIGEST: first[TAG_DIGEST], TAG_VERDICT: "promote"}
    client = registry.tracking.client
    return str(client.create_model_version(registry.name, source=str(tmp_path / "real"), tags=tags).version)


def test_a_verdict_without_an_entry_is_refused_and_the_advice_works(registry: ModelRegistry, tmp_path: Path) -> None:
    version = _forged(registry, tmp_path)
    with pytest.raises(UserError, match="in its tags alone") as refused:
        registry.promote(version, "It says so.")
    command = override_command(version)
    assert command in str(refused.value)
    assert CliRunner().invoke(app, shlex.split(command)[2:], catch_exceptions=False).exit_code == 0
    assert registry.version_of("champion") == version


@pytest.mark.parametrize(
    ("registered", "said"), [("reject", "verdict `reject`"), ("review", "`review`"), (None, "no verdict")]
)
def test_an_edited_verdict_is_refused_and_shown(
    registry: ModelRegistry, tmp_path: Path, registered: str | None, said: str
) -> None:
    version = register(registry, tmp_path / "a", verdict=registered)
    registry.set_tags(version, {TAG_VERDICT: "promote"})
    with pytest.raises(UserError, match=f"the verdict `promote`, the audit log has .*{said}"):
        registry.promote(version, "It says so.")
    shown = json.loads(CliRunner().invoke(app, ["show", version, "--json"], catch_exceptions=False).stdout)
    assert len(shown["remarks"]) == 1
    assert said in shown["remarks"][0]
    registry.set_tags(version, {TAG_VERDICT: registered or ""})


def test_what_stands_in_the_log_has_no_remarks(registry: ModelRegistry, tmp_path: Path) -> None:
    version = register(registry, tmp_path / "a")
    registry.promote(version, "Better.")
    assert registry.remarks(registry.get(version)) == []


def test_with_a_bucket_the_log_is_read_from_the_registration_on(
    tmp_path: Path, whole: Path, s3: Callable[[str], dict[str, Any]]
) -> None:
    settings = load_settings(home=tmp_path / "home", store=s3("recorded"))
    copy_database(settings, whole)
    registry = ModelRegistry(settings)
    # Of years ago: whatever it says, it is not read.
    open_store(settings).put("audit/2020/01/01/20200101T000000.000000Z-00000000.json", b"no entry at all")
    version = register(registry, tmp_path / "a")
    registry.promote(version, "Better.")
    with pytest.raises(UserError, match="in its tags alone"):
        registry.promote(_forged(registry, tmp_path), "It says so.")


def test_where_machines_share_an_mlflow_but_no_log_the_tags_are_believed(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = load_settings(home=tmp_path / "here")
    copy_database(here, whole)
    version = register(ModelRegistry(here), tmp_path / "a")
    with MlflowServer(paths.tracking_dir(here) / "mlflow.db", tmp_path) as server:
        there = ModelRegistry(load_settings(home=tmp_path / "there", tracking={"uri": server.url}))
        there.promote(version, "Better.")
        assert there.version_of("champion") == version


def test_a_log_that_is_away_keeps_nobody_from_promoting(
    tmp_path: Path, whole: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from s3_endpoint import running_endpoint, store_in

    with running_endpoint() as url:
        bucket = store_in(url, "away")
        settings = load_settings(home=tmp_path / "home", store=bucket)
        copy_database(settings, whole)
        registry = ModelRegistry(settings)
        version = register(registry, tmp_path / "a")
    with caplog.at_level(logging.WARNING, "plumbline"):
        registry.promote(version, "Better.")
    assert "could not be compared with the audit log" in caplog.text
    assert registry.version_of("champion") == version
