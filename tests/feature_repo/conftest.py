"""A feature store that is applied and built, on the stream of `posting_stream`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
from posting_stream import make_postings

from feature_repo.build import build_views
from feature_repo.definitions import apply
from plumbline.settings import Settings, load_settings


@pytest.fixture(scope="session")
def postings() -> pd.DataFrame:
    """The stream; tests copy before they change it."""
    return make_postings()


@pytest.fixture(scope="session")
def built_home(tmp_path_factory: pytest.TempPathFactory, postings: pd.DataFrame) -> Settings:
    """Definitions applied and views built; read-only."""
    settings = load_settings(home=tmp_path_factory.mktemp("features") / "home")
    apply(settings)
    build_views(settings, postings, snapshot_id="synthetic")
    return settings


@pytest.fixture
def home(tmp_path: Path, built_home: Settings) -> Settings:
    """A copy of the built home that a test may change."""
    shutil.copytree(built_home.home, tmp_path / "home")
    copy = load_settings(home=tmp_path / "home")
    # The registry holds the views' paths; they are to be the copy's.
    apply(copy)
    return copy
