"""Second step: labelled postings with the features of each posting's own time."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd

from plumbline.data.known import known_at
from plumbline.data.snapshot import SnapshotStore
from plumbline.errors import MissingInputError
from plumbline.features.collected import read_collected
from plumbline.features.schema import FeatureSpec
from plumbline.instants import parse_instant
from plumbline.registry.models import TAG_FEATURE_DEFINITION
from plumbline.registry.runs import parent_run
from plumbline.registry.steps.context import open_step
from plumbline.settings import Settings
from plumbline.storage import open_store

POSTINGS = "postings.parquet"
SPECS = "feature_specs.json"
TERMS = "label_terms.parquet"


@dataclass(frozen=True)
class TrainingSet:
    """The training set as it lies in a folder."""

    postings: pd.DataFrame
    specs: list[FeatureSpec]
    label_terms: pd.DataFrame | None


def build_training_set(*, run_id: str, snapshot_id: str, as_of: str, overrides: str, folder: str) -> int:
    """Writes the labelled postings known at `as_of` with their features.

    Args:
        run_id: MLflow run of the pipeline run.
        snapshot_id: Whole id of the snapshot.
        as_of: ISO 8601 instant.
        overrides: JSON object of settings for this run.
        folder: Folder to write to.

    Returns:
        Number of postings.
    """
    with open_step("build_training_set", run_id=run_id, overrides=overrides) as step:
        settings, at = step.settings, parse_instant(as_of)
        log = read_collected(settings, snapshot_id).postings
        _ensure_views(settings, log, snapshot_id, at)

        from plumbline.features.definition import definition_of
        from plumbline.features.offline import historical_features
        from plumbline.features.plan import resolve
        from plumbline.features.store import open_feature_store

        known = known_at(log, at)
        frame = historical_features(settings, known[known["label"].notna()].reset_index(drop=True))
        plan = resolve(settings, open_feature_store(settings))
        # The gate asks for parity of just this: what the service consisted of when the features were joined.
        parent_run(step.run.tracking, run_id).tag({TAG_FEATURE_DEFINITION: definition_of(settings, plan)})
        specs = list(plan.specs)
        terms = SnapshotStore(open_store(settings)).label_terms(snapshot_id)
        write_training_set(TrainingSet(frame, specs, terms), Path(folder))
        step.run.params({"features": len(specs), "feature_service": settings.features.service})
        step.run.metrics(
            {
                "rows": len(frame),
                "label_terms": 0 if terms is None else len(terms),
                "missing_share": {
                    spec.name: float(frame[spec.name].isna().mean()) for spec in specs if frame[spec.name].isna().any()
                },
            }
        )
        return len(frame)


def write_training_set(training_set: TrainingSet, folder: Path) -> None:
    """Writes a training set to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    training_set.postings.to_parquet(folder / POSTINGS, index=False)
    specs = [spec.model_dump() for spec in training_set.specs]
    (folder / SPECS).write_text(json.dumps(specs, indent=2), encoding="utf-8")
    if training_set.label_terms is not None:
        training_set.label_terms.to_parquet(folder / TERMS, index=False)


def read_training_set(folder: Path) -> TrainingSet:
    """Reads what `write_training_set` has written.

    Raises:
        MissingInputError: The folder holds no training set.
    """
    if not (folder / POSTINGS).is_file():
        raise MissingInputError(f"{folder} holds no training set. Run the pipeline from its start.")
    specs = json.loads((folder / SPECS).read_text(encoding="utf-8"))
    terms = folder / TERMS
    return TrainingSet(
        postings=pd.read_parquet(folder / POSTINGS),
        specs=[FeatureSpec.model_validate(spec) for spec in specs],
        label_terms=pd.read_parquet(terms) if terms.is_file() else None,
    )


def _ensure_views(settings: Settings, log: pd.DataFrame, snapshot_id: str, at: datetime) -> None:
    """Builds the views when they were built from another snapshot, or not far enough.

    Views that reach further than `at` serve as well: each of their rows holds only what was known at its time.
    """
    from plumbline.features.repo import feature_repo
    from plumbline.features.schema import feature_specs
    from plumbline.features.views import built_views

    repo = feature_repo(settings)
    try:
        feature_specs(settings)
    except MissingInputError:
        repo.apply(settings)
    try:
        built = built_views(settings)
    except MissingInputError:
        built = None
    if built is None or built.snapshot_id != snapshot_id or built.until < at:
        repo.build_views(settings, log, snapshot_id=snapshot_id)
