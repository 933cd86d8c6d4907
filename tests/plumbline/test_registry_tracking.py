"""Setting MLflow up, and the runs of a pipeline."""

from __future__ import annotations

import shutil
import sqlite3
import time
from pathlib import Path

import pytest

from plumbline import paths
from plumbline.errors import DependencyError
from plumbline.registry.runs import child_run, close_left_open, open_parent, pipeline_runs
from plumbline.registry.tracking import configure, create_database, tracking_uri
from plumbline.settings import Settings, load_settings
from plumbline.settings.tracking import TrackingSettings


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's migrations take a second: once for all tests."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    create_database(path)
    return path


@pytest.fixture(autouse=True)
def _database(settings: Settings, empty_database: Path) -> None:
    target = paths.tracking_dir(settings) / "mlflow.db"
    target.parent.mkdir(parents=True)
    shutil.copy(empty_database, target)


def test_the_address_is_a_file_under_home_unless_set(settings: Settings) -> None:
    assert tracking_uri(settings) == f"sqlite:///{settings.home}/mlflow/mlflow.db"
    elsewhere = load_settings(home=settings.home, tracking=TrackingSettings(uri="http://mlflow:5000"))
    assert tracking_uri(elsewhere) == "http://mlflow:5000"


def test_configuring_twice_gives_one_experiment_in_a_file_that_readers_share(settings: Settings) -> None:
    first, second = configure(settings), configure(settings)
    assert first.experiment_id == second.experiment_id
    experiment = first.client.get_experiment(first.experiment_id)
    assert experiment.artifact_location == (paths.tracking_dir(settings) / "artifacts").as_uri()
    with sqlite3.connect(paths.tracking_dir(settings) / "mlflow.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_server_that_is_not_there_is_told_at_once(settings: Settings) -> None:
    elsewhere = load_settings(home=settings.home, tracking=TrackingSettings(uri="http://127.0.0.1:9"))
    start = time.monotonic()
    with pytest.raises(DependencyError, match="PLUMBLINE_TRACKING__URI"):
        configure(elsewhere)
    assert time.monotonic() - start < 10


def test_a_step_is_a_child_with_its_figures(settings: Settings) -> None:
    parent = open_parent(settings, "training", {})
    with child_run(settings, parent.run_id, "train") as run:
        run.params({"model": {"seed": 7, "text": "x" * 2000}})
        for epoch in (1, 2):
            run.metrics({"loss": 1 / epoch, "name": "no number", "flag": True}, step=epoch)
    found = run.tracking.client.get_run(run.run_id)
    assert found.info.status == "FINISHED"
    assert found.data.tags["mlflow.parentRunId"] == parent.run_id
    assert found.data.params["model.seed"] == "7"
    assert set(found.data.metrics) == {"loss"}
    history = run.tracking.client.get_metric_history(run.run_id, "loss")
    assert [(metric.step, metric.value) for metric in history] == [(1, 1.0), (2, 0.5)]
    assert [row["pipeline"] for row in pipeline_runs(settings)] == ["training"]


def test_a_failing_step_closes_its_run_and_the_parent(settings: Settings) -> None:
    parent = open_parent(settings, "training", {})
    with pytest.raises(ZeroDivisionError), child_run(settings, parent.run_id, "train") as run:
        raise ZeroDivisionError
    assert run.tracking.client.get_run(run.run_id).info.status == "FAILED"
    assert run.tracking.client.get_run(parent.run_id).info.status == "FAILED"


def test_what_a_killed_run_left_open_is_closed(settings: Settings) -> None:
    parent = open_parent(settings, "training", {})
    assert close_left_open(settings) == 1
    assert parent.tracking.client.get_run(parent.run_id).info.status == "KILLED"
    assert close_left_open(settings) == 0
