"""Readers of single fields: raw text in, value of the contract or a reason out."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable
from collections.abc import Mapping as Row
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from plumbline.data.mapping.model import Columns, IdField, LabelField, NumberField, TextField, TimeField
from plumbline.data.mapping.times import UnreadableError, age_of, read_instant
from plumbline.data.reading import NotText

Values = Row[str, str | None]


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


def id_reader(field: IdField) -> Callable[[Values, int], str | None]:
    """Reader of the identifier. Its second argument is the row's number, from 0."""
    if field.row:
        return lambda _values, number: f"row-{number + 1}"
    if field.hash is None:
        raw = text_of(field)
        return lambda values, _number: raw(values)
    parts = [text_of(Columns(column=name, missing=field.missing)) for name in field.hash]

    def hashed(values: Values, _number: int) -> str | None:
        texts = [part(values) for part in parts]
        # As JSON, so that no two rows whose texts are parted elsewhere are the same.
        return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:_HASH_LENGTH] if any(texts) else None

    return hashed


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


TimeReader = Callable[[Values, int], datetime | None]


def time_reader(field: TimeField, collected: TimeReader | None = None) -> TimeReader:
    """Reader of an instant, in UTC. Its second argument is the row's number, from 0.

    Args:
        field: Where it stands, and in which form.
        collected: Reader of the instant that texts such as "3 days ago" are relative to.
    """
    if field.constant is not None:
        constant = field.constant.astimezone(UTC)
        return lambda _values, _number: constant
    if field.sequence is not None:
        start, step = field.sequence.start.astimezone(UTC), timedelta(minutes=field.sequence.step_minutes)
        return lambda _values, number: start + number * step
    raw, zone = text_of(field), ZoneInfo(field.timezone)
    known: dict[str, datetime] = {}

    def read(values: Values, number: int) -> datetime | None:
        text = raw(values)
        if text is None:
            return None
        if text in known:
            return known[text]
        if collected is not None and "relative" in field.format and (age := age_of(text)) is not None:
            at = collected(values, number)
            return None if at is None else at - age
        if len(known) > _REMEMBERED:
            known.clear()
        known[text] = read_instant(text, field.format, zone)
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
_HASH_LENGTH = 32
