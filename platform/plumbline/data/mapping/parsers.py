"""Readers of single fields: raw text in, value of the contract or a reason out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from collections.abc import Mapping as Row
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from plumbline.data.mapping.model import Columns, LabelField, NumberField, TextField, TimeField
from plumbline.data.reading import NotText

Values = Row[str, str | None]


class UnreadableError(Exception):
    """A text cannot be read as what the mapping says it is."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def text_of(source: Columns) -> Callable[[Values], str | None]:
    """Reader of a field's raw text: None where nothing is said."""
    names, nothing = source.names, frozenset(source.missing)

    def one(values: Values, name: str) -> str | None:
        text = values.get(name)
        if text is None:
            return None
        if isinstance(text, NotText):
            raise UnreadableError(f"an object where text is wanted; map a part of it, such as {name}.{text.part}")
        text = text.strip()
        return None if not text or text in nothing else text

    if len(names) == 1:
        only = names[0]
        return lambda values: one(values, only)

    def several(values: Values) -> str | None:
        found = [text for name in names if (text := one(values, name)) is not None]
        if not found:
            return None
        return source.separator.join(found) if source.combine == "join" else found[0]

    return several


def text_reader(field: TextField, unmapped: Counter[str]) -> Callable[[Values], str | None]:
    """Reader of a text field, through its value map where it has one."""
    constant = field.constant
    if constant is not None:
        return lambda _: constant
    raw = text_of(field)
    if field.values is None:
        return raw
    rules = [(re.compile(rule.match, re.IGNORECASE), rule.value) for rule in field.values]
    known: dict[str, str | None] = {}

    def mapped(values: Values) -> str | None:
        text = raw(values)
        if text is None or text in known:
            return None if text is None else known[text]
        for pattern, value in rules:
            if pattern.search(text):
                known[text] = value
                return value
        if field.otherwise == "quarantine":
            raise UnreadableError("no rule of the value map fits")
        unmapped[text[:80]] += 1
        return None

    return mapped


def time_reader(field: TimeField) -> Callable[[Values, int], datetime | None]:
    """Reader of an instant, in UTC. Its second argument is the row's number, from 0."""
    if field.constant is not None:
        constant = field.constant.astimezone(UTC)
        return lambda _values, _number: constant
    if field.sequence is not None:
        start, step = field.sequence.start.astimezone(UTC), timedelta(minutes=field.sequence.step_minutes)
        return lambda _values, number: start + number * step
    raw, zone = text_of(field), ZoneInfo(field.timezone)
    known: dict[str, datetime] = {}

    def read(values: Values, _number: int) -> datetime | None:
        text = raw(values)
        if text is None:
            return None
        if text not in known:
            if len(known) > _REMEMBERED:
                known.clear()
            known[text] = _instant(text, field.format, zone)
        return known[text]

    return read


def number_reader(field: NumberField) -> Callable[[Values], float | None]:
    """Reader of a number."""
    raw = text_of(field)

    def read(values: Values) -> float | None:
        text = raw(values)
        if text is None:
            return None
        try:
            return float(re.sub(r"[\s\u00a0\u202f]", "", text).replace(field.decimal, "."))
        except ValueError as error:
            raise UnreadableError("not a number") from error

    return read


def label_reader(field: LabelField) -> Callable[[Values], str | None]:
    """Reader of the class code."""
    raw = text_of(field)
    allowed = None if field.allowed is None else frozenset(field.allowed)

    def read(values: Values) -> str | None:
        text = raw(values)
        if text is None:
            return None
        code = text
        if field.parser == "integer":
            number = re.fullmatch(r"(\d+)(?:\.0*)?", text)
            if number is None:
                raise UnreadableError("not a whole number")
            code = str(int(number.group(1)) // field.divide_by)
        if allowed is not None and code not in allowed:
            raise UnreadableError("outside the allowed codes")
        return code

    return read


_REMEMBERED = 10_000


def _instant(text: str, pattern: str, zone: ZoneInfo) -> datetime:
    try:
        moment = datetime.fromisoformat(text) if pattern == "iso" else datetime.strptime(text, pattern)  # noqa: DTZ007
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UnreadableError("not a time in the mapping's format") from error
