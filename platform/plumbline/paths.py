"""Where local state lies under `home`. One place, so that parts agree without importing each other."""

from __future__ import annotations

from pathlib import Path

from plumbline.settings import Settings


def objects_dir(settings: Settings) -> Path:
    """Folder object store."""
    return settings.home / "objects"


def tracking_dir(settings: Settings) -> Path:
    """MLflow's SQLite database and artefacts."""
    return settings.home / "mlflow"


def features_dir(settings: Settings) -> Path:
    """Feast registry, online store and computed feature views."""
    return settings.home / "features"


def prediction_log_dir(settings: Settings) -> Path:
    """Spool of the prediction log."""
    return settings.home / "predictions"


def monitoring_dir(settings: Settings) -> Path:
    """Evidently workspace and monitor results."""
    return settings.home / "monitoring"


def controller_dir(settings: Settings) -> Path:
    """Controller state and audit log."""
    return settings.home / "controller"


def pipelines_dir(settings: Settings) -> Path:
    """Pipeline roots of local runs."""
    return settings.home / "pipelines"
