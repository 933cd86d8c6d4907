"""The prediction log: segments on disk, and how they reach the object store."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class PredictionLogSettings(BaseModel):
    """The prediction log: segments on disk, and how they reach the object store."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    segment_bytes: int = Field(default=16 * 1024 * 1024, ge=4096)
    """A segment is closed, and shipped to the object store, at this size."""

    segment_seconds: float = Field(default=300.0, gt=0)
    """A segment is closed at this age."""

    sync_seconds: float = Field(default=1.0, gt=0)
    """How often the log is forced to the disk: what a power failure, not a killed process, can lose."""

    ship_seconds: float = Field(default=5.0, gt=0)
    """How often closed segments are looked for and shipped."""
