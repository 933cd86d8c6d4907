"""The mapping file as strict models; `plumbline data schema --of mapping` prints their JSON Schema."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from plumbline.data.masking import MASKED_FIELDS


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ValueRule(_Strict):
    """One line of a value map; the first rule that fits decides."""

    match: str = Field(description="Regular expression, searched anywhere in the text, upper and lower case alike.")
    value: str | None = Field(description="The contract's value; null says that the text means nothing here.")

    @field_validator("match")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"is not a regular expression: {error}") from error
        return pattern


class Columns(_Strict):
    """Where a field's text comes from."""

    column: str | None = Field(
        default=None, description="The column that feeds the field; of nested rows a path: employer.name."
    )
    columns: tuple[str, ...] | None = Field(default=None, description="Several columns, see `combine`.")
    combine: Literal["first", "join"] = Field(
        default="first", description="`first`: the first column that is not empty; `join`: all, with `separator`."
    )
    separator: str = Field(default="\n", description="Between joined columns.")
    missing: tuple[str, ...] = Field(default=(), description="Texts that mean 'nothing', such as N/A.")

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that are read."""
        return (self.column,) if self.column is not None else self.columns or ()

    @model_validator(mode="after")
    def _one_source(self) -> Columns:
        given = [self.column is not None, self.columns is not None, *self._other_sources()]
        if sum(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(self._source_names())}")
        return self

    def _other_sources(self) -> list[bool]:
        return []

    def _source_names(self) -> list[str]:
        return ["column", "columns"]


class TextField(Columns):
    """Text, as it stands or through a value map."""

    constant: str | None = Field(default=None, description="The same for every row.")
    values: tuple[ValueRule, ...] | None = Field(default=None, description="Value map.")
    otherwise: Literal["null", "quarantine"] = Field(
        default="quarantine",
        description="A text that no rule of `values` fits: empty field (counted and reported), or a bad row.",
    )

    def _other_sources(self) -> list[bool]:
        return [self.constant is not None]

    def _source_names(self) -> list[str]:
        return [*super()._source_names(), "constant"]


class IdField(Columns):
    """The identifier."""

    hash: tuple[str, ...] | None = Field(
        default=None, min_length=1, description="Columns whose content together is the identifier, as a hash of it."
    )
    row: Literal[True] | None = Field(
        default=None, description="The row's number is the identifier; it means nothing beyond this file."
    )

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that are read."""
        return self.hash or super().names

    def _other_sources(self) -> list[bool]:
        return [self.hash is not None, self.row is not None]

    def _source_names(self) -> list[str]:
        return [*super()._source_names(), "hash", "row"]


class Sequence(_Strict):
    """Made-up instants for files without any: the row's number times a step after a start."""

    start: AwareDatetime = Field(description="Instant of the first row, with its time zone.")
    step_minutes: float = Field(gt=0, description="Minutes from row to row.")


def _one_as_several(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


_TIME_FORMATS = ("iso", "epoch", "rfc2822", "relative")


class TimeField(Columns):
    """An instant."""

    format: Annotated[tuple[str, ...], BeforeValidator(_one_as_several)] = Field(
        default=("iso",),
        description="`iso`; `epoch` (seconds, or milliseconds above 2e10); `rfc2822` (Tue, 06 Jan 2026 10:00:00 GMT); "
        "`relative` (3 days ago, before `collected_at`); or a format of strptime such as %d.%m.%Y. Of several the "
        "first that fits.",
    )
    timezone: str = Field(default="UTC", description="IANA name; for texts that name no zone themselves.")
    constant: AwareDatetime | None = Field(default=None, description="The same instant for every row.")
    sequence: Sequence | None = Field(
        default=None, description="Made-up instants. What depends on time means nothing then, and says so."
    )

    @field_validator("timezone")
    @classmethod
    def _exists(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"{name} is not a time zone; give an IANA name such as Europe/Warsaw") from error
        return name

    @field_validator("format")
    @classmethod
    def _is_known(cls, formats: tuple[str, ...]) -> tuple[str, ...]:
        for each in formats:
            if each not in _TIME_FORMATS and "%" not in each:
                raise ValueError(f"{each} is not a format; give {', '.join(_TIME_FORMATS)} or one such as %d.%m.%Y")
            try:
                datetime.strptime(datetime(2026, 1, 2, tzinfo=UTC).strftime(each), each)  # noqa: DTZ007 - only whether it can
            except ValueError as error:
                raise ValueError(f"{each} is not a format of strptime: {error}") from error
        return formats

    def _other_sources(self) -> list[bool]:
        return [self.constant is not None, self.sequence is not None]

    def _source_names(self) -> list[str]:
        return [*super()._source_names(), "constant", "sequence"]


class NumberField(Columns):
    """A number."""

    decimal: Literal[".", ","] = Field(default=".", description="Decimal mark; spaces are ignored.")


class SalaryField(Columns):
    """A salary in free text, read into salary_min, salary_max, currency and period."""

    currency: str | None = Field(
        default=None, pattern="^[A-Z]{3}$", description="What a sign of several currencies ($, kr, ¥) stands for: USD."
    )


def _keys_as_text(value: Any) -> Any:
    """YAML reads an unquoted 1 as a number; a code is text."""
    return {str(key): name for key, name in value.items()} if isinstance(value, dict) else value


class LabelField(Columns):
    """The class code."""

    parser: Literal["text", "integer"] = Field(default="text", description="How the code is written.")
    divide_by: int = Field(default=1, ge=1, description="Whole-number division, such as 100000 for a first digit.")
    allowed: tuple[str, ...] | None = Field(default=None, description="Codes; a row with another goes to quarantine.")
    class_names: Annotated[dict[str, str], BeforeValidator(_keys_as_text)] = Field(
        default={}, description="What each code stands for, for people: reports and model cards show it."
    )
    delay_days: float | None = Field(
        default=None, ge=0, description="Days from posting to label; unset: the setting data.default_label_delay_days."
    )
    timestamp: TimeField | None = Field(default=None, description="When the label became known.")

    @model_validator(mode="after")
    def _one_time(self) -> LabelField:
        if self.delay_days is not None and self.timestamp is not None:
            raise ValueError("give delay_days or timestamp, not both")
        if self.divide_by != 1 and self.parser != "integer":
            raise ValueError("divide_by needs parser: integer")
        return self

    @model_validator(mode="after")
    def _names_of_codes(self) -> LabelField:
        strange = sorted(self.class_names.keys() - set(self.allowed)) if self.allowed is not None else []
        if strange:
            raise ValueError(f"class_names has {', '.join(strange)}, which allowed does not have")
        return self


class LabelTerms(_Strict):
    """A file of texts that are known to belong to a label; it is used where it lies beside the data."""

    file: str = Field(description="File name, beside the data file.")
    text: str = Field(description="Column of the texts.")
    label: str = Field(description="Column of the codes; read as the label is.")
    separator: str | None = Field(default=None, description="Splits one cell into several texts.")


def _column_in_short(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


_Id = Annotated[IdField, BeforeValidator(_column_in_short)]
_Text = Annotated[TextField, BeforeValidator(_column_in_short)]
_Time = Annotated[TimeField, BeforeValidator(_column_in_short)]
_Number = Annotated[NumberField, BeforeValidator(_column_in_short)]
_Salary = Annotated[SalaryField, BeforeValidator(_column_in_short)]
_Label = Annotated[LabelField, BeforeValidator(_column_in_short)]


class Fields(_Strict):
    """Sources of the contract's fields. A plain text names a column."""

    posting_id: _Id
    collected_at: _Time | None = Field(
        default=None, description="When the row was collected; no posting may be later. Unset: when it is ingested."
    )
    event_timestamp: _Time
    company: _Text | None = None
    board: _Text
    title: _Text
    description: _Text
    location: _Text | None = None
    employment_type: _Text | None = None
    seniority: _Text | None = None
    category: _Text | None = None
    salary: _Salary | None = Field(default=None, description="Free text; instead of the four fields below.")
    salary_min: _Number | None = None
    salary_max: _Number | None = None
    currency: _Text | None = None
    period: _Text | None = None
    language: _Text | None = None
    label: _Label | None = None

    @model_validator(mode="after")
    def _relative_to_something(self) -> Fields:
        if "relative" in self.event_timestamp.format and self.collected_at is None:
            raise ValueError("format relative of event_timestamp needs collected_at, which it is relative to")
        return self

    @model_validator(mode="after")
    def _salary_once(self) -> Fields:
        parts = (self.salary_min, self.salary_max, self.currency, self.period)
        if self.salary is not None and any(part is not None for part in parts):
            raise ValueError("give salary (free text) or salary_min, salary_max, currency and period, not both")
        return self


class Mapping(_Strict):
    """A mapping file."""

    version: Literal[1] = 1
    name: str = Field(default="mapping", description="Stands in the snapshot's manifest.")
    encoding: str = Field(default="utf-8", description="Of text files; a byte order mark says it better.")
    delimiter: str | None = Field(
        default=None,
        min_length=1,
        max_length=1,
        description="Of CSV files; unset: as the file's first line (`sep=;`) or its ending (.tsv) says, else a comma.",
    )
    sheet: str | None = Field(default=None, description="Of a workbook; unset: its only sheet.")
    fields: Fields
    mask: tuple[Literal["title", "description", "company", "location", "category"], ...] = Field(
        default=MASKED_FIELDS, description="Fields in which personal details are masked."
    )
    label_terms: LabelTerms | None = None
    ignored: tuple[str, ...] = Field(
        default=(), description="Columns that are known and not used; others are reported as new."
    )

    @property
    def class_names(self) -> dict[str, str]:
        """What the codes of the label stand for; empty where the mapping does not say."""
        return {} if self.fields.label is None else self.fields.label.class_names

    @property
    def columns(self) -> dict[str, str]:
        """Every column that is read, with the field that it feeds."""
        found: dict[str, str] = {}
        for name in Fields.model_fields:
            field = getattr(self.fields, name)
            if field is None:
                continue
            found |= dict.fromkeys(field.names, name)
            if isinstance(field, LabelField) and field.timestamp is not None:
                found |= dict.fromkeys(field.timestamp.names, f"{name}.timestamp")
        return found
