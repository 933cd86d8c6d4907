"""Sixth step: the new model against the champion, on rows that neither was trained on."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from plumbline.errors import IntegrityError, MissingInputError
from plumbline.features.parity_record import newest_parity, objections
from plumbline.registry.compare import trained_until
from plumbline.registry.content import MODEL_FOLDER, REFERENCE_FILE
from plumbline.registry.gate import Candidate, GateVerdict, Rows, decide
from plumbline.registry.models import (
    CHAMPION,
    TAG_AS_OF,
    TAG_FEATURE_DEFINITION,
    TAG_SNAPSHOT,
    LoadedModel,
    ModelRegistry,
)
from plumbline.registry.reference import EVALUATION, PART, PREDICTION, answer
from plumbline.registry.steps.context import Step, open_step
from plumbline.registry.steps.evaluate import SUMMARY, calibration_error
from plumbline.settings import Settings

VERDICT = "verdict.json"


_TIMED = 100
"""Postings whose processor time is taken."""


def gate(*, run_id: str, overrides: str, evaluation: str, model: str, folder: str) -> GateVerdict:
    """Judges the new model and writes `verdict.json`.

    Parity of its features is what was measured and recorded on the snapshot that it was trained on.

    Args:
        run_id: MLflow run of the pipeline run.
        overrides: JSON object of settings for this run.
        evaluation: Folder with the evaluation's results.
        model: Folder with the model.
        folder: Folder to write to.
    """
    with open_step("gate", run_id=run_id, overrides=overrides) as step:
        source, target = Path(evaluation), Path(folder)
        summary = json.loads((source / SUMMARY).read_text(encoding="utf-8"))
        reference = pd.read_parquet(source / REFERENCE_FILE)
        rows = reference[reference[PART] == EVALUATION].reset_index(drop=True)
        registry = ModelRegistry(step.settings, step.run.tracking)
        version = registry.version_of(CHAMPION)
        champion, no_comparison = champion_of(registry, version)
        cost, champion_cost = _processor_ms(step.settings, Path(model) / MODEL_FOLDER, champion, rows)
        answers: list[str] | None = None
        if champion is not None:
            rows = rows[rows["event_timestamp"] >= trained_until(champion)].reset_index(drop=True)
            answers = _answers(champion, rows)
        parity, parity_objections = _parity(step, run_id)
        verdict = decide(
            Rows(
                truth=rows["label"].tolist(),
                challenger=rows[PREDICTION].tolist(),
                champion=answers,
                boards=rows["board"].tolist(),
            ),
            Candidate(
                calibration_error=calibration_error(summary),
                processor_ms=cost,
                champion_processor_ms=champion_cost,
                parity=parity,
                parity_objections=parity_objections,
                no_comparison=no_comparison,
            ),
            step.settings.pipelines.gate,
        )
        verdict.numbers["champion_version"] = version
        target.mkdir(parents=True, exist_ok=True)
        (target / VERDICT).write_text(json.dumps(asdict(verdict), indent=2), encoding="utf-8")
        _log(step, verdict)
        return verdict


def read_verdict(folder: Path) -> GateVerdict:
    """Reads what `gate` has written."""
    values: dict[str, Any] = json.loads((folder / VERDICT).read_text(encoding="utf-8"))
    return GateVerdict(**values)


def champion_of(registry: ModelRegistry, version: str | None) -> tuple[LoadedModel | None, str | None]:
    """The champion, or why it cannot be compared with: one whose files are gone must not stand in the way of all."""
    if version is None:
        return None, None
    try:
        champion = registry.fetch(version)
        trained_until(champion)
    except (MissingInputError, IntegrityError) as error:
        return None, f"The champion, version {version}, cannot be compared with: {str(error).partition('. ')[0]}."
    return champion, None


def _parity(step: Step, run_id: str) -> tuple[dict[str, Any] | None, list[str]]:
    """The record of parity as numbers of the verdict, and what is to be said against it."""
    tags = step.run.tracking.client.get_run(run_id).data.tags
    snapshot_id, service = tags[TAG_SNAPSHOT], step.settings.features.service
    record = newest_parity(step.settings, snapshot_id, service)
    found = objections(
        record,
        snapshot_id=snapshot_id,
        service=service,
        definition=tags[TAG_FEATURE_DEFINITION],
        as_of=tags[TAG_AS_OF],
        min_pairs=step.settings.pipelines.gate.min_parity_pairs,
    )
    return None if record is None else record.model_dump(mode="json"), found


def _answers(champion: LoadedModel, rows: pd.DataFrame) -> list[str]:
    if rows.empty:
        return []
    from plumbline.model.protocol import load_model

    labels, _ = answer(load_model(champion.path), rows)
    return [str(label) for label in labels]


def _processor_ms(
    settings: Settings, challenger: Path, champion: LoadedModel | None, rows: pd.DataFrame
) -> tuple[float, float | None]:
    """Of the challenger and of the champion, loaded as serving loads them."""
    from plumbline.model.processor_time import median_processor_ms, serving_threads
    from plumbline.model.protocol import load_model

    folders = [challenger] if champion is None else [challenger, champion.path]
    records: list[dict[Any, Any]] = rows.head(_TIMED).to_dict("records")
    with serving_threads(settings):
        taken = median_processor_ms([load_model(folder, settings.model.runtime) for folder in folders], records)
    return taken[0], taken[1] if champion is not None else None


def _log(step: Step, verdict: GateVerdict) -> None:
    step.run.tag({"plumbline.gate.verdict": verdict.verdict, "plumbline.gate.reasons": " ".join(verdict.reasons)})
    step.run.metrics({key: value for key, value in verdict.numbers.items() if key != "limits"})
    step.run.json(asdict(verdict), VERDICT)
