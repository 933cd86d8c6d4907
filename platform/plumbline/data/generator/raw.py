"""The stream as an upstream would deliver it: everything is text, and a small share of the rows is broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pandas as pd

from plumbline.data.contract import POSTING_COLUMNS
from plumbline.data.generator.dice import Dice
from plumbline.data.generator.stream import generate
from plumbline.settings.data import GeneratorConfig

Row = dict[str, str]
Fault = Callable[[Row, Row], Row]


def raw_rows(config: GeneratorConfig) -> Iterator[list[Row]]:
    """Chunks of raw rows with the contract's columns as text; empty text where nothing is known.

    `config.bad_share` of the rows break the contract, each in one of the ways that upstreams know.
    """
    dice = Dice(config.seed, "faults")
    faults = list(_FAULTS.values())
    before: Row | None = None
    for frame in generate(config):
        rows = to_raw(frame)
        for position, row in enumerate(rows):
            if before is not None and dice.chance(config.bad_share):
                rows[position] = dice.pick(faults)(row, before)
            else:
                before = row
        yield rows


def to_raw(frame: pd.DataFrame) -> list[Row]:
    """Rows of a frame of postings as text."""
    columns = [_as_text(frame[name]) for name in POSTING_COLUMNS]
    return [dict(zip(POSTING_COLUMNS, values, strict=True)) for values in zip(*columns, strict=True)]


def _as_text(column: pd.Series) -> list[str]:
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return ["" if pd.isna(value) else value.isoformat() for value in column]
    if pd.api.types.is_float_dtype(column.dtype):
        return ["" if pd.isna(value) else repr(value) for value in column.tolist()]
    return ["" if value is None else value for value in column]


_FAULTS: dict[str, Fault] = {
    "no title": lambda row, _: row | {"title": "  "},
    "no description": lambda row, _: row | {"description": ""},
    "no identifier": lambda row, _: row | {"posting_id": ""},
    "the same identifier again": lambda row, before: row | {"posting_id": before["posting_id"]},
    "a date that is none": lambda row, _: row | {"event_timestamp": "2026-13-45"},
    "the epoch instead of a date": lambda row, _: row | {"event_timestamp": "1970-01-01T00:00:00+00:00"},
    "an unknown code": lambda row, _: row | {"employment_type": "PERM-40H"},
    "a salary without its currency": lambda row, _: row | {"salary_min": "1000.0", "currency": ""},
    "a salary turned round": lambda row, _: (
        row | {"salary_min": "9000.0", "salary_max": "900.0", "currency": "EUR", "period": "month"}
    ),
    "a label without its time": lambda row, _: row | {"label": "2", "label_timestamp": ""},
}
