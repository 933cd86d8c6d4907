"""Settings of the Feast repository, its stores and freshness."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class FeatureSettings(BaseModel):
    """Settings of the Feast repository, its stores and freshness."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    repo_module: str = "feature_repo"
    """Python package with the Feast definitions and the computations behind them."""

    service: str = "posting_classifier_v1"
    """Feast feature service that training and serving use."""
