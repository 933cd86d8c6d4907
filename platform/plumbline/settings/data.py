"""Settings of how postings enter."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class DataSettings(BaseModel):
    """Settings of how postings enter."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_bad_share: float = Field(default=0.10, ge=0, le=1)
    """A batch with a larger share of bad rows is refused whole."""

    default_label_delay_days: int = Field(default=7, ge=0)
    """Days from a posting to its label where the source does not say when the label arrived."""
