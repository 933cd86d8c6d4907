"""The posting contract: one typed schema, enforced wherever a posting enters (file, stream, request).

Bad rows are refused with the field and the reason; nothing is guessed, nothing is dropped.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import pyarrow as pa
from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

CONTRACT_VERSION = "1"

EmploymentType = Literal["full_time", "part_time", "temporary", "internship", "contract", "other"]
Seniority = Literal["intern", "junior", "mid", "senior", "lead", "executive"]
SalaryPeriod = Literal["hour", "day", "week", "month", "year"]

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""Older events are taken for parsing errors (epoch zeros, two-digit years)."""

FURTHEST_AHEAD = timedelta(days=366)
"""Of a request, and of a label: the stream of a demonstration may lie ahead of the clock, and a label comes late; a
year that was typed wrongly may not."""


def _blank_to_none(value: Any) -> Any:
    """Files say 'nothing' as empty text or NaN; the contract says it as None."""
    if isinstance(value, str) and not value.strip():
        return None
    if isinstance(value, float) and math.isnan(value):
        return None
    return value


_Optional = BeforeValidator(_blank_to_none)
Identifier = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=128)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=256)]
Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=512)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100_000)]
Place = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4096)]
Code = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=32)]


class PostingRequest(BaseModel):
    """What a client must send to have a posting classified: the contract without its label."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    posting_id: Identifier = Field(description="Unique within the source.")
    event_timestamp: Annotated[AwareDatetime, Field(description="When the posting was published or collected, UTC.")]
    company: Annotated[Name | None, _Optional] = Field(default=None, description="Employer, as named in the posting.")
    board: Name = Field(description="Where it was posted.")
    title: Title = Field(description="Job title as posted.")
    description: Text = Field(description="Body of the posting, plain text.")
    location: Annotated[Place | None, _Optional] = Field(
        default=None, description="Place of work, free text; boards list dozens of towns."
    )
    employment_type: Annotated[EmploymentType | None, _Optional] = Field(
        default=None, description="Kind of employment."
    )
    seniority: Annotated[Seniority | None, _Optional] = Field(default=None, description="Level of the position.")
    category: Annotated[Name | None, _Optional] = Field(default=None, description="The board's own category.")
    salary_min: Annotated[float | None, _Optional] = Field(
        default=None, ge=0, le=1e9, allow_inf_nan=False, description="Lower end, in `currency` per `period`."
    )
    salary_max: Annotated[float | None, _Optional] = Field(
        default=None, ge=0, le=1e9, allow_inf_nan=False, description="Upper end, in `currency` per `period`."
    )
    currency: Annotated[str | None, _Optional] = Field(
        default=None, pattern="^[A-Z]{3}$", description="ISO 4217 code, such as PLN."
    )
    period: Annotated[SalaryPeriod | None, _Optional] = Field(default=None, description="What the salary is paid per.")
    language: str = Field(default="en", pattern="^[a-z]{2}$", description="ISO 639-1 code of the text.")

    @field_validator("event_timestamp")
    @classmethod
    def _plausible(cls, instant: datetime) -> datetime:
        if instant < EARLIEST:
            raise ValueError(f"event_timestamp is before {EARLIEST.date()}")
        if cls._is_too_late(instant):
            raise ValueError(f"event_timestamp is more than {FURTHEST_AHEAD.days} days ahead")
        return instant

    @classmethod
    def _is_too_late(cls, instant: datetime) -> bool:
        return instant - datetime.now(UTC) > FURTHEST_AHEAD

    @model_validator(mode="after")
    def _salary_is_whole(self) -> PostingRequest:
        if self.salary_min is not None and self.salary_max is not None and self.salary_min > self.salary_max:
            raise ValueError("salary_min is above salary_max")
        if (self.salary_min is not None or self.salary_max is not None) and self.currency is None:
            raise ValueError("a salary needs its currency")
        return self


class Posting(PostingRequest):
    """A row of the posting log: the request's fields, and the label once it has arrived."""

    label: Annotated[Code | None, _Optional] = Field(default=None, description="Class code; None until known.")
    label_timestamp: Annotated[AwareDatetime | None, _Optional] = Field(
        default=None, description="When the label became known, UTC. Later than the posting."
    )

    @classmethod
    def _is_too_late(cls, instant: datetime) -> bool:  # noqa: ARG003
        return False  # a row is held against its own collection, see `ingest`

    @model_validator(mode="after")
    def _label_is_whole(self) -> Posting:
        if (self.label is None) != (self.label_timestamp is None):
            raise ValueError("label and label_timestamp must come together")
        if self.label_timestamp is not None and self.label_timestamp < self.event_timestamp:
            raise ValueError("label_timestamp is before event_timestamp")
        return self


_TIME = pa.timestamp("us", tz="UTC")

POSTING_SCHEMA = pa.schema(
    [
        ("posting_id", pa.string()),
        ("event_timestamp", _TIME),
        ("company", pa.string()),
        ("board", pa.string()),
        ("title", pa.string()),
        ("description", pa.string()),
        ("location", pa.string()),
        ("employment_type", pa.string()),
        ("seniority", pa.string()),
        ("category", pa.string()),
        ("salary_min", pa.float64()),
        ("salary_max", pa.float64()),
        ("currency", pa.string()),
        ("period", pa.string()),
        ("language", pa.string()),
        ("label", pa.string()),
        ("label_timestamp", _TIME),
    ]
)
"""Arrow form of `Posting`, in column order: what snapshots hold and every frame of postings has.

Times are in microseconds: Feast's DuckDB engine cannot materialise nanoseconds.
"""

POSTING_COLUMNS: tuple[str, ...] = tuple(POSTING_SCHEMA.names)
REQUEST_COLUMNS: tuple[str, ...] = tuple(PostingRequest.model_fields)
