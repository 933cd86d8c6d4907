"""Fourth step: trains and calibrates the classifier."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from plumbline.data.snapshot import SnapshotStore
from plumbline.registry.content import MODEL_FOLDER
from plumbline.registry.datasets import log_dataset
from plumbline.registry.runs import parent_run
from plumbline.registry.steps.context import open_step
from plumbline.registry.steps.training_set import read_training_set
from plumbline.storage import open_store

_log = logging.getLogger(__name__)

HISTORY = "history.json"


def train(
    *, run_id: str, snapshot_id: str, as_of: str, overrides: str, train_set: str, calibration_set: str, model: str
) -> None:
    """Trains on one part, calibrates on another, and writes the model's folder.

    Args:
        run_id: MLflow run of the pipeline run.
        snapshot_id: Whole id of the snapshot, kept in the model.
        as_of: ISO 8601 instant, kept in the model.
        overrides: JSON object of settings for this run.
        train_set: Folder with the training part.
        calibration_set: Folder with the calibration part.
        model: Folder to write the model and the history of its training to.
    """
    with open_step("train", run_id=run_id, overrides=overrides) as step:
        from plumbline.model.class_names import write_class_names
        from plumbline.model.protocol import import_trainer

        source = read_training_set(Path(train_set))
        calibration = read_training_set(Path(calibration_set)).postings
        snapshot = SnapshotStore(open_store(step.settings)).get(snapshot_id)
        # On the pipeline's run too: its row in the list of runs names the data.
        for run in (step.run, parent_run(step.run.tracking, run_id)):
            log_dataset(run, source.postings, snapshot, as_of, "training")
            log_dataset(run, calibration, snapshot, as_of, "calibration")
        config = step.settings.model
        fit = import_trainer(config.trainer)
        step.run.params(config.model_dump())

        def on_epoch(epoch: int, metrics: dict[str, Any]) -> None:
            step.run.metrics(metrics, step=epoch)
            _log.info("epoch %d: %s", epoch, metrics)

        result = fit(
            source.postings,
            calibration,
            feature_specs=source.specs,
            label_terms=source.label_terms,
            config=config,
            on_epoch=on_epoch,
        )
        folder = Path(model)
        folder.mkdir(parents=True, exist_ok=True)
        result.model.save(folder / MODEL_FOLDER)
        write_class_names(folder / MODEL_FOLDER, snapshot.class_names)
        (folder / HISTORY).write_text(json.dumps(result.history, indent=2, default=float), encoding="utf-8")
