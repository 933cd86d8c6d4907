"""A registry with a champion and a version to release."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from plumbline import paths
from plumbline.registry.models import TAG_VERDICT, ModelRegistry
from plumbline.registry.tracking import create_database
from plumbline.settings import Settings, load_settings


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's migrations take a second: once for all tests."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    create_database(path)
    return path


@pytest.fixture
def release_settings(tmp_path: Path) -> Settings:
    return load_settings(home=tmp_path / "home", serving={"alias_poll_seconds": 0.05, "latency_budget_ms": 1000})


@pytest.fixture
def registry(release_settings: Settings, empty_database: Path, tmp_path: Path) -> ModelRegistry:
    """Version 1 is the champion, 2 may be released."""
    target = paths.tracking_dir(release_settings) / "mlflow.db"
    target.parent.mkdir(parents=True)
    shutil.copy(empty_database, target)
    found = ModelRegistry(release_settings)
    for name in ("a", "b"):
        (tmp_path / name / "artifacts" / "posting_model").mkdir(parents=True)
        (tmp_path / name / "artifacts" / "posting_model" / "config.json").write_text("{}")
        run_id = found.tracking.client.create_run(found.tracking.experiment_id).info.run_id
        found.register(run_id, artifact_uri=str(tmp_path / name), tags={TAG_VERDICT: "promote"})
    found.promote("1", "The first.")
    return found
