"""A registered model that is served beside the default one."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ServedModelSettings(BaseModel):
    """A registered model that is served beside the default one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    alias: str = "champion"
    """Alias that is served."""

    latency_budget_ms: float = Field(default=50.0, gt=0)
    """Latency budget (p99) of this model's requests, milliseconds."""

    max_batch_size: int = Field(default=32, ge=1, le=1024)
    """A batch closes once it holds this many requests."""

    max_waiting: int = Field(default=1024, ge=1)
    """Requests that may wait at once for this model."""
