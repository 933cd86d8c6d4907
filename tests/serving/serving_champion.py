"""A small but real installation: generated postings, features, and a trained, registered champion."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import datetime, timedelta

import pandas as pd

from feature_repo.prepare import prepare
from plumbline import paths
from plumbline.data.generator import GeneratorConfig, generate
from plumbline.data.snapshot import SnapshotStore
from plumbline.features.collected import Collected
from plumbline.features.offline import historical_features
from plumbline.features.schema import feature_specs
from plumbline.model.train import train
from plumbline.registry.models import MODEL_FOLDER, TAG_VERDICT, ModelRegistry
from plumbline.registry.tracking import configure
from plumbline.settings import Settings
from plumbline.storage import open_store


def install(settings: Settings, *, rows: int) -> tuple[str, datetime]:
    """Writes a snapshot and prepares features for its last week; returns its id and the instant served from."""
    postings = pd.concat(list(generate(GeneratorConfig(rows=rows, weeks=8, companies=50))), ignore_index=True)
    snapshot = SnapshotStore(open_store(settings)).write(postings, source={"kind": "generator"})
    as_of = snapshot.last_event - timedelta(days=7)
    prepare(
        settings,
        Collected(snapshot.id, postings, 0),
        as_of=as_of,
        pairs=50,
        seed=1,
        step=lambda _: nullcontext(),
    )
    return snapshot.id, as_of


def add_version(settings: Settings, snapshot: str, as_of: datetime, *, seed: int) -> str:
    """Trains a model on what was known before `as_of`, registers it, makes it champion."""
    postings = SnapshotStore(open_store(settings)).read(snapshot)
    known = postings[(postings["event_timestamp"] < as_of) & postings["label"].notna()].reset_index(drop=True)
    rows = historical_features(settings, known)
    config = settings.model.model_copy(update={"seed": seed, "epochs": 2, "refit": False, "threads": 1})
    cut = int(0.85 * len(rows))
    result = train(
        rows.iloc[:cut],
        rows.iloc[cut:],
        feature_specs=feature_specs(settings),
        label_terms=None,
        config=config,
    )
    tracking = configure(settings)
    run = tracking.client.create_run(tracking.experiment_id)
    root = paths.tracking_dir(settings) / "test-models" / run.info.run_id
    result.model.save(root / "artifacts" / MODEL_FOLDER)
    registry = ModelRegistry(settings, tracking)
    version = registry.register(run.info.run_id, model_id="", artifact_uri=root.as_uri(), tags={TAG_VERDICT: "promote"})
    registry.promote(version, "a test wants it served")
    return version
