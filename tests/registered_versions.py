"""A registry on SQLite with versions whose content is one small file."""

from __future__ import annotations

import shutil
from pathlib import Path

from plumbline import paths
from plumbline.registry.models import TAG_VERDICT, ModelRegistry
from plumbline.registry.tracking import create_database
from plumbline.settings import Settings


def copy_database(settings: Settings, whole: Path) -> None:
    """MLflow's migrations take a second: they are made once, and copied."""
    if not whole.is_file():
        create_database(whole)
    target = paths.tracking_dir(settings) / "mlflow.db"
    target.parent.mkdir(parents=True)
    shutil.copy(whole, target)


def register(
    registry: ModelRegistry, folder: Path, *, verdict: str | None = "promote", config: str = "", **tags: str
) -> str:
    """Registers one more version, with the gate's verdict; its content is written to the folder."""
    model = folder / "artifacts" / "posting_model"
    model.mkdir(parents=True)
    (model / "config.json").write_text(config or f'{{"name": "{folder.name}"}}')
    (model.parent / "reference.parquet").write_bytes(b"rows")
    run_id = registry.tracking.client.create_run(registry.tracking.experiment_id).info.run_id
    return registry.register(
        run_id, artifact_uri=str(folder), tags=tags if verdict is None else {TAG_VERDICT: verdict, **tags}
    )
