"""Settings of the classifier and its training."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class ModelSettings(BaseModel):
    """Settings of the classifier and its training."""

    model_config = ConfigDict(extra="forbid", frozen=True)
