"""Frames of postings, and their Arrow form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
import pyarrow as pa

from plumbline.data.contract import POSTING_COLUMNS, POSTING_SCHEMA
from plumbline.errors import ContractError

_TIMES = ("event_timestamp", "label_timestamp")


def to_table(frame: pd.DataFrame) -> pa.Table:
    """Arrow form of a frame of postings, in `POSTING_SCHEMA`; columns beyond it are left out.

    Raises:
        ContractError: A column of the contract is missing, or holds values of another type.
    """
    missing = [name for name in POSTING_COLUMNS if name not in frame.columns]
    if missing:
        raise ContractError(f"The frame of postings has no column {', '.join(missing)}.")
    part = frame.loc[:, list(POSTING_COLUMNS)]
    try:
        times = {name: pd.to_datetime(part[name], utc=True).dt.as_unit("us") for name in _TIMES}
        return pa.Table.from_pandas(part.assign(**times), schema=POSTING_SCHEMA, preserve_index=False)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise ContractError(f"The frame of postings does not fit the contract's types: {error}") from error


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Frame of postings: `POSTING_COLUMNS`, times tz-aware UTC in microseconds, text as objects with None."""
    frame: pd.DataFrame = table.cast(POSTING_SCHEMA).to_pandas()
    return frame


def from_records(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Frame of postings from dictionaries that have been through the contract."""
    return to_frame(pa.Table.from_pylist(list(records), schema=POSTING_SCHEMA))


def empty_frame() -> pd.DataFrame:
    """A frame of postings without rows."""
    return to_frame(POSTING_SCHEMA.empty_table())
