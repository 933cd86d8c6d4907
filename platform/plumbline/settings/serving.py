"""Settings of the serving endpoint, its latency budget and its prediction log."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class ServingSettings(BaseModel):
    """Settings of the serving endpoint, its latency budget and its prediction log."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    """Address that the endpoint listens on."""

    port: int = 8000
    """Port that the endpoint listens on."""

    latency_budget_ms: float = 50.0
    """Latency budget (p99) of the classify endpoint, milliseconds."""
