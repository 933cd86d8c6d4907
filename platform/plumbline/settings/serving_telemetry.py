"""Traces and logs of the serving endpoint."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class TelemetrySettings(BaseModel):
    """Traces and logs of the serving endpoint."""

    model_config = ConfigDict(extra="forbid", frozen=True)
