"""Settings of KFP runners."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class PipelineSettings(BaseModel):
    """Settings of KFP runners."""

    model_config = ConfigDict(extra="forbid", frozen=True)
