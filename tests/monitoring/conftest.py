"""A small but real installation with a champion whose reference is known, and the real postings."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest
from drift_streams import END, WEEK, moved

from plumbline import paths
from plumbline.data.generator import class_names
from plumbline.data.known import known_at
from plumbline.data.snapshot import SnapshotStore
from plumbline.model.class_names import write_class_names
from plumbline.settings import Settings, load_settings
from plumbline.storage import open_store

REPOSITORY = Path(__file__).resolve().parents[2]
SCENARIO = "silent_null"
"""The stream of the installation drifts so from `CHANGE` on."""


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Snapshot, features, and a trained champion with its reference."""
    from feature_repo.prepare import prepare
    from plumbline.features.collected import Collected
    from plumbline.features.offline import historical_features
    from plumbline.features.schema import feature_specs
    from plumbline.model.train import train
    from plumbline.registry.models import (
        MODEL_FOLDER,
        REFERENCE_FILE,
        TAG_AS_OF,
        TAG_SNAPSHOT,
        TAG_VERDICT,
        ModelRegistry,
    )
    from plumbline.registry.reference import reference_frame
    from plumbline.registry.tracking import configure

    settings = load_settings(home=tmp_path_factory.mktemp("monitoring") / "home")
    postings = moved(1, SCENARIO)
    snapshot = SnapshotStore(open_store(settings)).write(postings, source={"kind": "generator"})
    collected = Collected(snapshot.id, postings, 0)
    prepare(settings, collected, as_of=END, pairs=20, seed=1, step=lambda _: nullcontext())
    known = known_at(postings, END)
    featured = historical_features(settings, known[known["label"].notna()].reset_index(drop=True))
    times = featured["event_timestamp"]
    fitted = featured[times < pd.Timestamp(END - 4 * WEEK)].reset_index(drop=True)
    calibration = featured[(times >= pd.Timestamp(END - 4 * WEEK)) & (times < pd.Timestamp(END - 3 * WEEK))]
    evaluation = featured[times >= pd.Timestamp(END - 3 * WEEK)]
    trained = train(
        fitted,
        calibration.reset_index(drop=True),
        feature_specs=feature_specs(settings),
        label_terms=None,
        config=settings.model.model_copy(update={"epochs": 3, "refit": False, "threads": 1}),
    )
    tracking = configure(settings)
    run = tracking.client.create_run(tracking.experiment_id)
    content = paths.tracking_dir(settings) / "test-models" / run.info.run_id / "artifacts"
    trained.model.save(content / MODEL_FOLDER)
    write_class_names(content / MODEL_FOLDER, class_names())
    reference = reference_frame(trained.model, evaluation=evaluation, calibration=calibration)
    reference.to_parquet(content / REFERENCE_FILE)
    registry = ModelRegistry(settings, tracking)
    version = registry.register(
        run.info.run_id,
        model_id="",
        artifact_uri=content.parent.as_uri(),
        tags={TAG_SNAPSHOT: snapshot.id, TAG_AS_OF: END.isoformat(), TAG_VERDICT: "promote"},
    )
    registry.promote(version, "a test watches it")
    return settings


@pytest.fixture
def watched(installation: Settings) -> Iterator[Settings]:
    """The installation without any monitor results."""
    yield installation
    shutil.rmtree(paths.monitoring_dir(installation), ignore_errors=True)


@pytest.fixture(scope="session")
def real_postings(job_ads_file: Path) -> pd.DataFrame:
    """The Polish advertisements in the form of the contract."""
    mapping = REPOSITORY / "examples" / "job_ads_pl.yaml"
    if not mapping.is_file():
        pytest.skip(f"{mapping} is not there")
    from plumbline.data.ingest import admit
    from plumbline.data.mapping import RowMapper, load_mapping, open_file

    settings = load_settings()
    chosen = load_mapping(mapping)
    source = open_file(job_ads_file, chosen)
    mapper = RowMapper(chosen, source.columns, timedelta(days=settings.data.default_label_delay_days))
    return admit(source, mapper, settings.data).postings.sort_values("event_timestamp", ignore_index=True)
