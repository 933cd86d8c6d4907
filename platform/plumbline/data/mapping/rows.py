"""Turns raw rows into records of the contract, by a mapping."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from plumbline.data.mapping.load import nearest
from plumbline.data.mapping.model import IdField, Mapping, NumberField, TextField, TimeField
from plumbline.data.mapping.parsers import (
    Values,
    id_reader,
    label_reader,
    number_reader,
    text_of,
    text_reader,
    time_reader,
)
from plumbline.data.mapping.times import UnreadableError
from plumbline.data.salary import parse_salary
from plumbline.errors import MappingError


@dataclass(frozen=True)
class Problem:
    """What is wrong with a row.

    Attributes:
        field: Field of the contract, or `row`.
        reason: Why, in words that are the same for every row with this fault.
    """

    field: str
    reason: str


@dataclass(frozen=True)
class SchemaDiff:
    """How a file's columns differ from what its mapping knows.

    Attributes:
        new: Columns that the mapping neither reads nor ignores.
        missing: Columns that the mapping ignores and that are gone.
    """

    new: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass
class RowMapper:
    """Reads rows of one file by its mapping.

    Attributes:
        mapping: The mapping.
        columns: The file's columns.
        default_delay_days: Days to the label where the mapping does not say.
        unmapped: By field: texts that no rule of a value map fitted and that became empty, with their number.
        unparsed: By field: texts without anything to read in them that became empty.
    """

    mapping: Mapping
    columns: Sequence[str]
    default_delay_days: float
    unmapped: dict[str, Counter[str]] = field(default_factory=dict)
    unparsed: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """Refuses a mapping that does not fit the file, and makes the readers.

        Raises:
            MappingError: A column that the mapping reads is not in the file.
        """
        for column, target in self.mapping.columns.items():
            if not self._has(column):
                near = nearest(column, self.columns)
                hint = f" Did you mean {near}?" if near else f" The columns are: {', '.join(self.columns)}."
                raise MappingError(f"The file has no column {column}, which the mapping reads for {target}.{hint}")
        self._readers = self._make_readers()

    @property
    def schema_diff(self) -> SchemaDiff:
        """New columns of the file, and ignored ones that are gone."""
        known = {*map(_without_numbers, self.mapping.columns), *self.mapping.ignored}
        new: dict[str, None] = {}
        for name in self.columns:
            # An object is known by its parts, and its parts by it.
            lies_in = {name[: dot.start()] for dot in re.finditer(r"\.", name)}
            holds_known = any(each.startswith(f"{name}.") for each in known)
            if name not in known and not holds_known and lies_in.isdisjoint(known | new.keys()):
                new[name] = None
        return SchemaDiff(new=tuple(new), missing=tuple(each for each in self.mapping.ignored if not self._has(each)))

    def record(self, values: Values, number: int) -> tuple[dict[str, Any], list[Problem]]:
        """Reads one row.

        Args:
            values: Raw text by column.
            number: Of the row in the file, from 0.

        Returns:
            The record, with what could be read, and what could not.
        """
        record: dict[str, Any] = {}
        problems: list[Problem] = []
        for name, read in self._readers:
            try:
                record[name] = read(values, number)
            except UnreadableError as error:
                problems.append(Problem(name, error.reason))
        if "salary" in record:
            self._spread_salary(record)
        self._date_label(record)
        return record, problems

    def _has(self, column: str) -> bool:
        return column in self.columns or _without_numbers(column) in self.columns

    def _make_readers(self) -> list[tuple[str, Callable[[Values, int], Any]]]:
        readers: list[tuple[str, Callable[[Values, int], Any]]] = []
        collection = self.mapping.fields.collected_at
        collected = None if collection is None else time_reader(collection)
        for name in type(self.mapping.fields).model_fields:
            source = getattr(self.mapping.fields, name)
            if source is None:
                continue
            if isinstance(source, IdField):
                readers.append((name, id_reader(source)))
            elif name == "label":
                readers.append((name, _without_number(label_reader(source))))
                if source.timestamp is not None:
                    readers.append(("label_timestamp", time_reader(source.timestamp)))
            elif isinstance(source, TextField):
                unmapped = self.unmapped.setdefault(name, Counter())
                readers.append((name, _without_number(text_reader(source, unmapped))))
            elif isinstance(source, TimeField):
                readers.append((name, time_reader(source, collected if name == "event_timestamp" else None)))
            elif isinstance(source, NumberField):
                readers.append((name, _without_number(number_reader(source))))
            else:
                readers.append((name, _without_number(text_of(source))))
        return readers

    def _spread_salary(self, record: dict[str, Any]) -> None:
        text = record.pop("salary")
        if text is None:
            return
        source = self.mapping.fields.salary
        salary = parse_salary(text, None if source is None else source.currency)
        if salary is None:
            self.unparsed["salary"] += 1
            return
        record |= {
            "salary_min": salary.low,
            "salary_max": salary.high,
            "currency": salary.currency,
            "period": salary.period,
        }

    def _date_label(self, record: dict[str, Any]) -> None:
        source = self.mapping.fields.label
        if source is None or source.timestamp is not None or record.get("label") is None:
            return
        event = record.get("event_timestamp")
        if event is not None:
            days = self.default_delay_days if source.delay_days is None else source.delay_days
            record["label_timestamp"] = event + timedelta(days=days)


def _without_numbers(path: str) -> str:
    """The path of a nested column without the numbers of elements."""
    return ".".join(part for part in path.split(".") if not part.isdecimal())


def _without_number(read: Callable[[Values], Any]) -> Callable[[Values, int], Any]:
    return lambda values, _number: read(values)
