"""Settings of monitors and their alerts."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class MonitoringSettings(BaseModel):
    """Settings of monitors and their alerts."""

    model_config = ConfigDict(extra="forbid", frozen=True)
