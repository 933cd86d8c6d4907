"""Settings of how postings enter."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from plumbline.errors import UserError
from plumbline.instants import parse_instant

Share = Annotated[float, Field(ge=0, le=1)]


def _instant(value: object) -> object:
    try:
        return parse_instant(value) if isinstance(value, str) else value
    except UserError as error:
        raise ValueError(str(error)) from error


class GeneratorConfig(BaseModel):
    """What the built-in generator makes. The same configuration makes the same postings on every machine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int = Field(default=12_000, ge=1)
    """Postings in all."""

    weeks: int = Field(default=26, ge=1)
    """Weeks that they are spread over."""

    start: Annotated[AwareDatetime, BeforeValidator(_instant)] = Field(
        default=datetime.fromisoformat("2026-01-05T00:00:00+00:00")
    )
    """First instant of the first week, UTC."""

    seed: int = 7
    """Seed of everything that is drawn."""

    companies: int = Field(default=400, ge=1, le=50_000)
    """Employers; their sizes follow Zipf's law."""

    label_delay_days: float = Field(default=8.0, gt=0)
    """Mean days from a posting to its label (gamma distributed)."""

    unlabelled_share: Share = 0.03
    """Postings whose label never arrives."""

    label_noise: Share = 0.03
    """Labels that a coder mixed up with a neighbouring class."""

    vague_title_share: Share = 0.28
    """Titles such as "Team Leader", which fit several classes."""

    repost_share: Share = 0.12
    """Ads that are posted again, with small edits, often on another board."""

    contact_share: Share = 0.15
    """Descriptions that carry e-mail addresses, phone numbers or links."""

    bad_share: Share = 0.01
    """Rows of the raw output that break the contract."""

    chunk_rows: int = Field(default=2_000, ge=1)
    """Most rows of one frame: it bounds the memory at any number of rows."""


class DataSettings(BaseModel):
    """Settings of how postings enter."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_bad_share: Share = 0.10
    """A batch with a larger share of bad rows is refused whole."""

    future_tolerance_days: float = Field(default=1.0, ge=0)
    """A posting that is dated later than its collection by more than this is a bad row: a date without a time of day,
    or a clock in another zone, may be that much ahead."""

    default_label_delay_days: int = Field(default=7, ge=0)
    """Days from a posting to its label where the source does not say when the label arrived."""

    chunk_rows: int = Field(default=2_000, ge=1)
    """Rows of a file that are read, checked and masked at a time."""

    scenario_share: Share | None = None
    """Share of postings that a drift scenario moves; None keeps each scenario's own."""

    scenario_ramp_weeks: float = Field(default=6.0, gt=0)
    """Weeks from the change point until a gradual scenario reaches its full share."""

    generator: GeneratorConfig = Field(default_factory=GeneratorConfig)
