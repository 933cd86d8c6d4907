"""The feature store's settings, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from plumbline.errors import MissingInputError, SettingsError
from plumbline.features.schema import FeatureSpec, feature_specs
from plumbline.features.store import open_feature_store
from plumbline.features.views import built_views, views_dir
from plumbline.settings import Settings, load_settings


def test_a_store_type_that_feast_does_not_know_is_refused(settings: Settings) -> None:
    wrong = settings.features.model_copy(update={"online_store": {"type": "reddis"}})
    with pytest.raises(SettingsError, match=r"features\.online_store"):
        open_feature_store(settings.model_copy(update={"features": wrong}))


def test_nothing_applied_names_the_command(settings: Settings) -> None:
    with pytest.raises(MissingInputError, match="plumbline features apply"):
        feature_specs(settings)


def test_nothing_built_names_the_command(settings: Settings) -> None:
    with pytest.raises(MissingInputError, match="plumbline features build"):
        built_views(settings)


def test_views_lie_where_the_settings_say(settings: Settings, tmp_path: Path) -> None:
    moved = load_settings(home=settings.home, features={"views_dir": tmp_path / "shared"})
    assert views_dir(moved) == tmp_path / "shared"
    assert views_dir(settings) == settings.home / "features" / "views"


def test_connection_strings_do_not_show() -> None:
    settings = load_settings(
        features={
            "online_store": {"type": "redis", "connection_string": "redis:6379,password=hush"},
            "registry_url": "postgresql+psycopg://u:hush@db/feast",
        }
    )
    assert "hush" not in repr(settings)


def test_a_spec_is_strict() -> None:
    with pytest.raises(ValueError, match="kind"):
        FeatureSpec(name="x", kind="text", default="")  # type: ignore[arg-type]
