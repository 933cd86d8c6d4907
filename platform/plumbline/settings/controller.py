"""Settings of the loop."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class ControllerSettings(BaseModel):
    """Settings of the loop."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    """Address that the alert webhook listens on."""

    port: int = 8090
    """Port that the alert webhook listens on."""
