"""Setting MLflow up, and the runs of a pipeline."""

from __future__ import annotations

import shutil
import sqlite3
import time
from pathlib import Path

import pandas as pd
import pytest
from posting_rows import postings

from plumbline import paths
from plumbline.data.snapshot import SnapshotStore
from plumbline.errors import DependencyError
from plumbline.registry.datasets import dataset_name, log_dataset
from plumbline.registry.models import TAG_AS_OF
from plumbline.registry.runs import child_run, close_left_open, open_parent, pipeline_runs
from plumbline.registry.tracking import configure, create_database, tracking_uri
from plumbline.settings import Settings, load_settings
from plumbline.settings.tracking import TrackingSettings
from plumbline.storage import open_store


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
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
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
    failed = run.tracking.client.get_run(parent.run_id)
    assert (failed.info.status, failed.info.run_name) == ("FAILED", "failed in train: training")


def test_a_run_is_named_by_what_came_of_it(settings: Settings) -> None:
    parent = open_parent(settings, "training", {TAG_AS_OF: "2026-03-09T00:00:00+00:00"})
    client = parent.tracking.client
    opened = client.get_run(parent.run_id)
    assert opened.info.run_name == "training 2026-03-09"
    assert opened.data.tags["mlflow.source.name"] == "plumbline pipeline run training"
    assert "@" in opened.data.tags["mlflow.user"]
    parent.came_to("v3 passed", "**Why**")
    parent.came_to("v3 promoted", "**Why**")
    ended = client.get_run(parent.run_id)
    assert ended.info.run_name == "v3 promoted: training 2026-03-09"
    assert ended.data.tags["mlflow.note.content"] == "**Why**"


def test_a_data_set_is_named_by_its_source_and_brings_its_postings(settings: Settings) -> None:
    import mlflow

    store = SnapshotStore(open_store(settings))
    frame = postings(5)
    snapshot = store.write(frame, source={"kind": "file", "file": "ads.csv", "mapping": "ads", "scenario": "new_board"})
    parent = open_parent(settings, "training", {})
    log_dataset(parent, frame, snapshot, "2026-03-09T00:00:00+00:00", "training")
    [given] = parent.tracking.client.get_run(parent.run_id).inputs.dataset_inputs
    assert given.dataset.name == f"ads.csv by ads with new_board ({snapshot.id[:8]})"
    assert {tag.key: tag.value for tag in given.tags} == {
        "mlflow.data.context": "training",
        "plumbline.rows": "5",
        "plumbline.snapshot": snapshot.id,
        "plumbline.as_of": "2026-03-09T00:00:00+00:00",
    }
    assert len(pd.read_parquet(mlflow.data.get_source(given.dataset).load())) == 5


def test_generated_postings_say_that_they_are(settings: Settings) -> None:
    snapshot = SnapshotStore(open_store(settings)).write(postings(5), source={"kind": "generator", "scenario": None})
    assert dataset_name(snapshot) == f"generated postings ({snapshot.id[:8]})"


def test_what_a_killed_run_left_open_is_closed(settings: Settings) -> None:
    parent = open_parent(settings, "training", {})
    assert close_left_open(settings) == 1
    killed = parent.tracking.client.get_run(parent.run_id)
    assert (killed.info.status, killed.info.run_name) == ("KILLED", "killed: training")
    assert close_left_open(settings) == 0


def test_a_database_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    away = load_settings(home=tmp_path, tracking={"uri": "postgresql://nobody@127.0.0.1:1/mlflow"})
    with pytest.raises(DependencyError, match=r"does not answer .*PLUMBLINE_TRACKING__URI"):
        configure(away)
