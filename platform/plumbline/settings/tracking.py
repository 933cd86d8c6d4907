"""Settings of MLflow tracking and registry."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class TrackingSettings(BaseModel):
    """Settings of MLflow tracking and registry."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    uri: str | None = None
    """MLflow tracking and registry address; None uses SQLite under `home`."""

    experiment: str = "postings"
    """Experiment that training runs belong to."""

    model_name: str = "posting-classifier"
    """Name of the registered model that the aliases belong to."""
