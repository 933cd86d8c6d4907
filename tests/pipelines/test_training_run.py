"""The whole training pipeline on the local runner, killed once in the middle."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
from conftest import FAST, Line

from plumbline.features.parity_record import keep_parity, newest_parity
from plumbline.model.class_names import read_class_names
from plumbline.registry.models import ModelRegistry
from plumbline.registry.runs import TAG_STEP
from plumbline.registry.tracking import configure

FIRST = "2026-03-09T00:00:00+00:00"
LATER = "2026-03-30T00:00:00+00:00"

STEPS = ["validate", "build-training-set", "split", "train", "evaluate", "gate", "register"]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def first(line: Line) -> dict[str, Any]:
    line.measure(FIRST)
    return line.train(FIRST, "--reason", "Test.")


def test_the_answer_tells_the_whole_run(first: dict[str, Any], line: Line) -> None:
    assert set(first) == {
        "pipeline", "run_id", "model_version", "snapshot_id", "as_of", "rows", "metrics", "champion_metrics", "gate",
        "promoted", "seconds", "folder",
    }  # fmt: skip
    assert list(first["seconds"]) == STEPS
    assert first["snapshot_id"] == line.snapshot_id
    assert first["as_of"] == FIRST
    assert first["gate"]["verdict"] == "promote", first["gate"]["reasons"]
    assert first["promoted"] is True
    assert first["champion_metrics"] is None
    assert first["metrics"]["n"] == first["rows"]["evaluation"]
    parity = first["gate"]["numbers"]["parity"]
    assert (parity["share"], parity["checked"], parity["snapshot_id"]) == (1.0, 200, line.snapshot_id)
    assert parity["command"] == "plumbline features prepare"
    assert (line.settings.home / "objects" / parity["key"]).is_file()
    assert any("agree on all 200 pairs" in reason for reason in first["gate"]["reasons"])
    assert first["metrics"]["accuracy_interval"][0] < first["metrics"]["accuracy"]


def test_the_version_is_registered_with_all_that_belongs_to_it(first: dict[str, Any], line: Line) -> None:
    registry = ModelRegistry(line.settings)
    loaded = registry.fetch("champion")
    assert loaded.version == first["model_version"]
    assert registry.version_of("challenger") is None
    assert loaded.card is not None
    card = loaded.card.read_text()
    assert line.snapshot_id in card
    assert "| 2 Professionals |" in card
    assert read_class_names(loaded.path)["2"] == "Professionals"
    assert loaded.reference is not None
    reference = pd.read_parquet(loaded.reference)
    assert set(reference["part"]) == {"evaluation", "calibration"}
    assert reference[["prediction", "probability", "label"]].notna().all().all()
    right = (reference["prediction"] == reference["label"])[reference["part"] == "evaluation"]
    assert right.mean() == pytest.approx(first["metrics"]["accuracy"])
    assert (reference["event_timestamp"] < pd.Timestamp(FIRST)).all()
    registered, promoted = registry.history()
    assert (registered.what, promoted.what) == ("register", "promote")
    assert promoted.numbers["parity"]["key"] == first["gate"]["numbers"]["parity"]["key"]


def test_mlflow_holds_the_run_its_steps_and_its_model(first: dict[str, Any], line: Line) -> None:
    tracking = configure(line.settings)
    runs = {
        run.data.tags[TAG_STEP]: run
        for run in tracking.client.search_runs(
            [tracking.experiment_id], f"tags.`mlflow.parentRunId` = '{first['run_id']}'"
        )
    }
    assert set(runs) == {step.replace("-", "_") for step in STEPS}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    parent = tracking.client.get_run(first["run_id"])
    assert parent.info.status == "FINISHED"
    assert parent.data.params["reason"] == "Test."
    outcome = "promoted" if first["promoted"] else "rejected"
    assert parent.info.run_name == f"v{first['model_version']} {outcome}: training {FIRST[:10]}"
    assert "Why this run was started: Test." in parent.data.tags["mlflow.note.content"]
    assert {"accuracy", "macro_f1", "evaluation_rows", "calibration_error", "processor_ms"} <= set(parent.data.metrics)
    contexts = [tag.value for given in parent.inputs.dataset_inputs for tag in given.tags if "context" in tag.key]
    assert sorted(contexts) == ["calibration", "evaluation", "training"]
    train = runs["train"]
    assert len(tracking.client.get_metric_history(train.info.run_id, "loss")) == 3
    names = {(given.dataset.name, given.tags[0].value) for given in train.inputs.dataset_inputs}
    assert {name for name, _ in names} == {f"generated postings ({line.snapshot_id[:8]})"}
    assert len(names) == 2
    plots = tracking.client.list_artifacts(runs["evaluate"].info.run_id, "plots")
    assert all(plot.path.endswith(".png") for plot in plots)
    assert plots


def test_the_logged_model_answers_as_a_pyfunc(first: dict[str, Any], line: Line) -> None:
    import mlflow

    configure(line.settings)
    model = mlflow.pyfunc.load_model("models:/posting-classifier@champion")
    rows = pd.DataFrame({"title": ["Nurse", "Java Developer"], "description": ["Night shifts.", "Spring, SQL."]})
    answer = model.predict(rows)
    assert len(answer) == 2
    assert model.metadata.signature is not None
    assert model.metadata.metadata["class_names"]["2"] == "Professionals"
    assert set(answer["label"]) <= set(first["metrics"]["per_class"])


def test_a_killed_run_leaves_no_process_and_no_alias_and_the_next_one_starts(first: dict[str, Any], line: Line) -> None:
    earlier = _logs(line)
    process = line.start("run", "training", "--as-of", LATER, *FAST)
    log = _wait_for_step(line, "train", earlier)
    steps = psutil.Process(process.pid).children(recursive=True)
    assert steps
    process.send_signal(signal.SIGKILL)
    process.wait()
    _, alive = psutil.wait_procs(steps, timeout=20)
    assert not alive, "a step went on after its pipeline was killed"
    registry = ModelRegistry(line.settings)
    assert registry.version_of("champion") == first["model_version"]
    assert [found.version for found in registry.list()] == [first["model_version"]]

    with _without_parity(line):
        second = line.train(LATER, "--no-promote")
        [said] = [reason for reason in second["gate"]["reasons"] if "was not measured on this snapshot" in reason]
        _follow(line, said)
        assert newest_parity(line.settings, line.snapshot_id, "posting_classifier_v1") is not None
        shutil.rmtree(line.settings.home / "objects" / "features" / "parity")
    assert log.parent.is_dir()
    assert second["promoted"] is False
    assert second["gate"]["numbers"]["champion_version"] == first["model_version"]
    assert second["champion_metrics"]["accuracy"] > 0.3
    assert second["gate"]["verdict"] == "reject"
    assert f"`plumbline features prepare --snapshot {line.snapshot_id} --as-of {LATER}` measures it" in said
    assert second["gate"]["numbers"]["parity"] is None
    assert registry.version_of("champion") == first["model_version"]
    assert registry.version_of("challenger") is None
    tracking = configure(line.settings)
    statuses = [run.info.status for run in tracking.client.search_runs([tracking.experiment_id])]
    assert "RUNNING" not in statuses
    assert "KILLED" in statuses

    code, out, _ = line.call("list", "--json")
    assert code == 0
    listed = json.loads(out)
    assert listed["pipelines"] == ["training"]
    assert [run["status"] for run in listed["runs"]] == ["FINISHED", "KILLED", "FINISHED"]


def test_a_run_that_is_asked_to_stop_stops(line: Line) -> None:
    earlier = _logs(line)
    process = line.start("run", "training", "--as-of", FIRST, *FAST)
    _wait_for_step(line, "build-training-set", earlier)
    steps = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "stopped by SIGTERM" in err
    _, alive = psutil.wait_procs(steps, timeout=5)
    assert not alive


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--as-of", "2026-01-12T00:00:00+00:00"], 2, "Step validate: At 2026-01-12"),
        (["--as-of", FIRST, "--snapshot", "0123456789"], 2, "no snapshot"),
        (["--as-of", "yesterday"], 2, "`now` and `latest`"),
        (["--as-of", "2026-01-12"], 2, "Step validate: At 2026-01-12T00:00:00+00:00"),
        (["--set", "model.epoch=3"], 2, "model.epoch"),
        (["--set", "epochs"], 2, "--set epochs"),
    ],
)
def test_what_cannot_be_run_is_one_sentence(line: Line, arguments: list[str], code: int, said: str) -> None:
    found, out, err = line.call("run", "training", *arguments, "--json")
    assert found == code, err
    assert out == ""
    assert said in err.splitlines()[-1]


def test_what_was_found_to_differ_is_not_trained_on(line: Line, first: dict[str, Any]) -> None:
    record = newest_parity(line.settings, line.snapshot_id, "posting_classifier_v1")
    assert record is not None
    keep_parity(line.settings, record.model_copy(update={"matched": 198, "share": 0.99}))
    try:
        code, out, err = line.call("run", "training", "--as-of", FIRST, "--json")
    finally:
        keep_parity(line.settings, record)
    assert (code, out) == (3, "")
    assert "Step validate: Offline and online features agree on 99.00% of the 200 pairs" in err.splitlines()[-1]


def test_an_unknown_pipeline_is_named_with_its_neighbour(line: Line) -> None:
    code, _, err = line.call("run", "trainin")
    assert code == 2
    assert "Did you mean training?" in err


def _logs(line: Line) -> set[Path]:
    return set((line.settings.home / "pipelines").glob("*/run.log"))


def _follow(line: Line, said: str) -> None:
    """Carries out the command that a message names."""
    command = re.search(r"`plumbline ([^`]+)` measures it", said)
    assert command is not None
    done = subprocess.run(
        [sys.executable, "-m", "plumbline", *command[1].split()],
        env={**os.environ, "PLUMBLINE_HOME": str(line.settings.home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@contextmanager
def _without_parity(line: Line) -> Iterator[None]:
    """As if nobody had measured it on the snapshot."""
    folder = line.settings.home / "objects" / "features" / "parity"
    folder.rename(folder.with_name("aside"))
    try:
        yield
    finally:
        folder.with_name("aside").rename(folder)


def _wait_for_step(line: Line, step: str, earlier: set[Path]) -> Path:
    """Waits until the run that is not among the earlier ones is in the middle of a step; its log."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for log in _logs(line) - earlier:
            if f"Executing task '{step}'" in log.read_text():
                time.sleep(1.0)
                return log
        time.sleep(0.1)
    raise AssertionError(f"{step} did not start")
