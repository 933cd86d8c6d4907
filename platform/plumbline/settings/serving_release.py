"""How a new version is let in: canary, shadow, and what takes it out again."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class ReleaseSettings(BaseModel):
    """How a new version is let in: canary, shadow, and what takes it out again."""

    model_config = ConfigDict(extra="forbid", frozen=True)
