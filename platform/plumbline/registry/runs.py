"""One MLflow run per pipeline run, with one child run per step."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from plumbline.errors import MissingInputError
from plumbline.registry.audit import whoami
from plumbline.registry.models import TAG_AS_OF
from plumbline.registry.tracking import Tracking, configure
from plumbline.settings import Settings

TAG_PIPELINE = "plumbline.pipeline"
TAG_STEP = "plumbline.step"
TAG_LOCAL = "plumbline.local_run"
"""Marks runs of the local runner, of which one at a time runs under one `home`."""

TAG_FAILED_STEP = "plumbline.failure.step"
TAG_FAILURE_KIND = "plumbline.failure.kind"
TAG_FAILURE = "plumbline.failure"
"""On a pipeline's run that failed: which step, the class of its error, and what it said."""

_PARENT = "mlflow.parentRunId"
_DESCRIPTION = "mlflow.note.content"
_SOURCE = "mlflow.source.name"
_SOURCE_TYPE = "mlflow.source.type"
_USER = "mlflow.user"
_AFTER_OUTCOME = ": "
_LONGEST_PARAM = 500
_LONGEST_TAG = 4000
_BATCH = 100


@dataclass(frozen=True)
class Run:
    """An open MLflow run; every call writes through."""

    tracking: Tracking
    run_id: str

    def params(self, values: Mapping[str, Any], prefix: str = "") -> None:
        """Logs parameters; nested mappings become dotted names, long values are cut."""
        from mlflow.entities import Param

        flat = [Param(name, str(value)[:_LONGEST_PARAM]) for name, value in _flatten(values, prefix)]
        for start in range(0, len(flat), _BATCH):
            self.tracking.client.log_batch(self.run_id, params=flat[start : start + _BATCH])

    def metrics(self, values: Mapping[str, Any], *, step: int = 0, prefix: str = "") -> None:
        """Logs the numbers among the values; nested mappings become dotted names, lists are left out."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        flat = [
            Metric(name, float(value), now, step)
            for name, value in _flatten(values, prefix)
            if isinstance(value, int | float) and not isinstance(value, bool)
        ]
        for start in range(0, len(flat), _BATCH):
            self.tracking.client.log_batch(self.run_id, metrics=flat[start : start + _BATCH])

    def tag(self, values: Mapping[str, str]) -> None:
        """Sets tags."""
        for key, value in values.items():
            self.tracking.client.set_tag(self.run_id, key, value)

    def json(self, value: Any, name: str) -> None:
        """Logs a JSON artefact."""
        self.tracking.client.log_text(self.run_id, json.dumps(value, indent=2, ensure_ascii=False, default=str), name)

    def file(self, path: Path, folder: str | None = None) -> None:
        """Logs a file as an artefact."""
        self.tracking.client.log_artifact(self.run_id, str(path), folder)

    def folder(self, path: Path, name: str) -> None:
        """Logs a folder's files as artefacts."""
        self.tracking.client.log_artifacts(self.run_id, str(path), name)

    def end(self, status: str = "FINISHED") -> None:
        """Closes the run."""
        self.tracking.client.set_terminated(self.run_id, status)

    def came_to(self, outcome: str, description: str) -> None:
        """Says in front of a pipeline run's name what came of it, and in its description (Markdown) why.

        In front, because lists of runs cut names off.
        """
        title = str(self.tracking.client.get_run(self.run_id).info.run_name).rpartition(_AFTER_OUTCOME)[2]
        self.tracking.client.update_run(self.run_id, name=f"{outcome}{_AFTER_OUTCOME}{title}")
        self.tag({_DESCRIPTION: description[:_LONGEST_TAG]})


def open_parent(settings: Settings, pipeline: str, tags: Mapping[str, str]) -> Run:
    """Creates the run of a whole pipeline run; its name tells the pipeline and the day whose knowledge it uses."""
    tracking = configure(settings)
    about = {
        TAG_PIPELINE: pipeline,
        _SOURCE: f"plumbline pipeline run {pipeline}",
        _SOURCE_TYPE: "JOB",
        _USER: whoami(),
    }
    created = tracking.client.create_run(
        tracking.experiment_id,
        run_name=f"{pipeline} {tags.get(TAG_AS_OF, '')[:10]}".strip(),
        tags={**about, **_mark(settings), **tags},
    )
    return Run(tracking, str(created.info.run_id))


@contextmanager
def child_run(settings: Settings, parent_id: str, step: str) -> Iterator[Run]:
    """A step's run. Whatever ends the block by an exception closes it and its parent as failed."""
    tracking = configure(settings)
    created = tracking.client.create_run(
        tracking.experiment_id, run_name=step, tags={_PARENT: parent_id, TAG_STEP: step, **_mark(settings)}
    )
    run = Run(tracking, str(created.info.run_id))
    try:
        yield run
    except BaseException as error:
        run.end("FAILED")
        parent = Run(tracking, parent_id)
        said = str(error)[:_LONGEST_TAG] or type(error).__name__
        parent.tag({TAG_FAILED_STEP: step, TAG_FAILURE_KIND: type(error).__name__, TAG_FAILURE: said})
        parent.came_to(f"failed in {step}", said)
        parent.end("FAILED")
        raise
    run.end()


def close_left_open(settings: Settings) -> int:
    """Closes runs that a killed local pipeline has left open.

    Only for the holder of the local runner's lock: nothing else of this `home` may be running.

    Returns:
        How many were closed.
    """
    tracking = configure(settings)
    left = tracking.client.search_runs(
        [tracking.experiment_id], f"attributes.status = 'RUNNING' and tags.`{TAG_LOCAL}` = '{settings.home}'"
    )
    for run in left:
        tracking.client.set_terminated(run.info.run_id, "KILLED")
        if TAG_PIPELINE in run.data.tags:
            Run(tracking, run.info.run_id).came_to("killed", "Its process was gone when the next run began.")
    return len(left)


def parent_run(tracking: Tracking, run_id: str) -> Run:
    """The run of a pipeline run that is open already.

    Raises:
        MissingInputError: There is no such run.
    """
    from mlflow.exceptions import MlflowException

    try:
        tracking.client.get_run(run_id)
    except MlflowException as error:
        raise MissingInputError(f"There is no MLflow run {run_id} in {tracking.uri}.") from error
    return Run(tracking, run_id)


def _mark(settings: Settings) -> dict[str, str]:
    return {TAG_LOCAL: str(settings.home)} if settings.profile == "local" else {}


def _flatten(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{name}.")
        else:
            yield name, value


def pipeline_runs(settings: Settings, limit: int = 50) -> list[dict[str, Any]]:
    """Pipeline runs, newest first: what `pipeline list` shows."""
    tracking = configure(settings)
    found = tracking.client.search_runs(
        [tracking.experiment_id],
        f"tags.`{TAG_PIPELINE}` != ''",
        max_results=limit,
        order_by=["attributes.start_time DESC"],
    )
    return [
        {
            "run_id": run.info.run_id,
            "pipeline": run.data.tags[TAG_PIPELINE],
            "status": run.info.status,
            "started_at": datetime.fromtimestamp(run.info.start_time / 1000, tz=UTC).isoformat(timespec="seconds"),
            "as_of": run.data.params.get("as_of"),
            "model_version": run.data.tags.get("plumbline.model_version"),
            "accuracy": run.data.metrics.get("accuracy"),
            "gate": run.data.tags.get("plumbline.gate.verdict"),
        }
        for run in found
    ]
