"""Who may ask the serving endpoint, and how much."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class AccessSettings(BaseModel):
    """Who may ask the serving endpoint, and how much."""

    model_config = ConfigDict(extra="forbid", frozen=True)
