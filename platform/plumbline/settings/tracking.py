"""Settings of MLflow tracking and registry."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from plumbline.settings.names import ModelName


class TrackingSettings(BaseModel):
    """Settings of MLflow tracking and registry."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    uri: str | None = None
    """MLflow tracking and registry address; None uses SQLite under `home`."""

    experiment: str = "postings"
    """Experiment that training runs belong to."""

    model_name: ModelName = "posting-classifier"
    """Name of the registered model that the aliases belong to."""

    artifact_root: str | None = None
    """Where a new experiment keeps its artefacts (a folder or an `s3://` address). None: the folder beside the
    local database, or what a server chooses."""

    timeout_seconds: float = Field(default=5.0, gt=0)
    """How long an MLflow server may take to answer before it counts as unreachable."""
