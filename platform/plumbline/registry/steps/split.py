"""Third step: training, calibration and evaluation rows that share neither time nor near-duplicates."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from plumbline.instants import parse_instant
from plumbline.registry.steps.context import open_step
from plumbline.registry.steps.training_set import TrainingSet, read_training_set, write_training_set

REPORT = "split_report.json"


@dataclass(frozen=True)
class SplitRows:
    """Rows of each part."""

    train: int
    calibration: int
    evaluation: int


def split(
    *,
    run_id: str,
    as_of: str,
    overrides: str,
    training_set: str,
    train: str,
    calibration: str,
    evaluation: str,
) -> SplitRows:
    """Splits the training set by time and near-duplicate group.

    Args:
        run_id: MLflow run of the pipeline run.
        as_of: ISO 8601 instant: the end of the evaluation window.
        overrides: JSON object of settings for this run.
        training_set: Folder with the training set.
        train: Folder to write the training part to; the split's report goes there too.
        calibration: Folder to write the calibration part to.
        evaluation: Folder to write the evaluation part to.
    """
    with open_step("split", run_id=run_id, overrides=overrides) as step:
        from plumbline.model.split import split_postings

        whole = read_training_set(Path(training_set))
        model = step.settings.model
        parts = split_postings(
            whole.postings,
            as_of=parse_instant(as_of),
            eval_days=model.eval_days,
            seed=model.seed,
            calibration_days=model.calibration_days,
            similarity=model.duplicate_similarity,
        )
        frames: dict[str, pd.DataFrame] = {
            train: parts.train,
            calibration: parts.calibration,
            evaluation: parts.evaluation,
        }
        for folder, frame in frames.items():
            write_training_set(TrainingSet(frame, whole.specs, whole.label_terms), Path(folder))
        rows = SplitRows(len(parts.train), len(parts.calibration), len(parts.evaluation))
        (Path(train) / REPORT).write_text(json.dumps(parts.report, indent=2, default=str), encoding="utf-8")
        step.run.metrics(vars(rows), prefix="rows.")
        step.run.json(parts.report, REPORT)
        return rows
