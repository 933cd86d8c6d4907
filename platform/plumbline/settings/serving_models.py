"""A registered model that is served beside the default one."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from plumbline.settings.names import AliasName


class ServedModelSettings(BaseModel):
    """A registered model that is served beside the default one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    alias: AliasName = "champion"
    """Alias that is served."""

    latency_budget_ms: float = Field(default=50.0, gt=0)
    """Latency budget (p99) of this model's requests, milliseconds."""

    max_batch_size: int = Field(default=32, ge=1, le=1024)
    """A batch closes once it holds this many requests. Another model's request waits for one such batch at most."""

    max_batch_wait_ms: float = Field(default=0.0, ge=0)
    """How long an open batch waits for companions while the model is idle, milliseconds."""

    max_waiting: int = Field(default=1024, ge=1)
    """Requests that may wait at once for this model."""

    batch_chunk_size: int = Field(default=64, ge=1, le=1024)
    """Postings of batch requests that are computed in one go."""

    max_waiting_in_bulk: int = Field(default=4096, ge=1)
    """Postings of batch requests that may wait at once; a request that would be the only one is let in."""
