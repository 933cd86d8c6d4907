"""Finds what a pipeline run on a cluster came to, by the key that it was submitted with.

KFP's API tells a run's state and nothing of its results; those are in MLflow.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from plumbline import errors
from plumbline.errors import MissingInputError, PlumblineError
from plumbline.registry.runs import TAG_FAILED_STEP, TAG_FAILURE, TAG_FAILURE_KIND, TAG_STEP
from plumbline.registry.tracking import Tracking, configure
from plumbline.settings import Settings

TAG_SUBMISSION = "plumbline.submission"
"""On a pipeline's run: the key that it was submitted with."""

RESULT = "result.json"
"""Artefact of a pipeline's run: its result."""


@dataclass(frozen=True)
class Submission:
    """A pipeline run of this key."""

    tracking: Tracking
    run: Any

    def result(self) -> dict[str, Any]:
        """What the last step has returned.

        Raises:
            MissingInputError: The run has none: it did not reach its end.
        """
        from mlflow.exceptions import MlflowException

        run_id = str(self.run.info.run_id)
        with TemporaryDirectory() as folder:
            try:
                path = self.tracking.client.download_artifacts(run_id, RESULT, folder)
            except (MlflowException, OSError) as error:
                raise MissingInputError(
                    f"The MLflow run {run_id} has no {RESULT}: it did not reach its end."
                ) from error
            result: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
        return result

    def seconds(self) -> dict[str, float]:
        """Duration of each step that has ended, without the start of its process."""
        children = self.tracking.client.search_runs(
            [self.tracking.experiment_id],
            f"tags.`mlflow.parentRunId` = '{self.run.info.run_id}'",
            order_by=["attributes.start_time ASC"],
        )
        return {
            child.data.tags[TAG_STEP].replace("_", "-"): round((child.info.end_time - child.info.start_time) / 1000, 2)
            for child in children
            if child.info.end_time
        }

    def failure(self) -> PlumblineError | None:
        """The error of the step that failed, of its own kind; None where no step has told one."""
        tags = self.run.data.tags
        if TAG_FAILURE not in tags:
            return None
        kind = getattr(errors, tags.get(TAG_FAILURE_KIND, ""), None)
        said = f"Step {tags.get(TAG_FAILED_STEP, '?').replace('_', '-')}: {tags[TAG_FAILURE]}"
        return kind(said) if isinstance(kind, type) and issubclass(kind, PlumblineError) else PlumblineError(said)


def find_submission(settings: Settings, key: str) -> Submission | None:
    """The pipeline run that was submitted with this key; None where its first step has not opened it."""
    tracking = configure(settings)
    found = tracking.client.search_runs(
        [tracking.experiment_id], f"tags.`{TAG_SUBMISSION}` = '{key}'", order_by=["attributes.start_time DESC"]
    )
    return Submission(tracking, found[0]) if found else None
