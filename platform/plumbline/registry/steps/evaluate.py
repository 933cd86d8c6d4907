"""Fifth step: scores the new model on rows that it has not seen, and writes the monitors' reference."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plumbline.registry.content import MODEL_FOLDER, REFERENCE_FILE
from plumbline.registry.reference import reference_frame
from plumbline.registry.steps.context import open_step
from plumbline.registry.steps.train import HISTORY
from plumbline.registry.steps.training_set import read_training_set

SUMMARY = "evaluation.json"
PLOTS = "plots"


def evaluate(
    *, run_id: str, overrides: str, calibration_set: str, evaluation_set: str, model: str, folder: str
) -> dict[str, float]:
    """Writes `evaluation.json`, `reference.parquet` and plots.

    Args:
        run_id: MLflow run of the pipeline run.
        overrides: JSON object of settings for this run.
        calibration_set: Folder with the calibration part.
        evaluation_set: Folder with the evaluation part.
        model: Folder with the model.
        folder: Folder to write to.

    Returns:
        The figures that the pipeline shows.
    """
    with open_step("evaluate", run_id=run_id, overrides=overrides) as step:
        from plumbline.model.class_names import read_class_names
        from plumbline.model.evaluate import evaluate as score
        from plumbline.model.plots import all_plots
        from plumbline.model.protocol import load_model

        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        classifier = load_model(Path(model) / MODEL_FOLDER)
        evaluation = read_training_set(Path(evaluation_set)).postings
        calibration = read_training_set(Path(calibration_set)).postings
        scored = score(classifier, evaluation, seed=step.settings.pipelines.gate.seed)
        summary = scored.summary()
        reference = reference_frame(classifier, evaluation=evaluation, calibration=calibration)
        reference.to_parquet(target / REFERENCE_FILE, index=False)
        (target / SUMMARY).write_text(json.dumps(summary, indent=2, default=float), encoding="utf-8")
        history = json.loads((Path(model) / HISTORY).read_text(encoding="utf-8"))
        (target / PLOTS).mkdir(exist_ok=True)
        for name, png in all_plots(scored, history, read_class_names(Path(model) / MODEL_FOLDER)).items():
            (target / PLOTS / name).write_bytes(png)
        step.run.folder(target / PLOTS, PLOTS)
        step.run.json(summary, SUMMARY)
        headline = {
            "n": float(summary["n"]),
            "accuracy": summary["accuracy"],
            "macro_f1": summary["macro_f1"],
            "calibration_error": calibration_error(summary),
        }
        step.run.metrics({"evaluation_rows" if name == "n" else name: value for name, value in headline.items()})
        return headline


def calibration_error(summary: Mapping[str, Any]) -> float:
    """Expected calibration error of an evaluation's summary."""
    return float(summary["calibration"]["ece"])
