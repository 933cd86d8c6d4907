"""What one line of the prediction log holds, and the columns that it is shipped and read as."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import pyarrow as pa

from serving.engine.query import Role

TIME = pa.timestamp("us", tz="UTC")

LOG_SCHEMA = pa.schema(
    [
        ("request_id", pa.string()),
        ("role", pa.string()),
        ("client", pa.string()),
        ("time", TIME),
        ("posting_id", pa.string()),
        ("event_timestamp", TIME),
        ("company", pa.string()),
        ("board", pa.string()),
        ("features", pa.string()),
        ("features_expired", pa.list_(pa.string())),
        ("features_missing", pa.list_(pa.string())),
        ("features_later", pa.list_(pa.string())),
        ("label", pa.string()),
        ("probability", pa.float64()),
        ("model_name", pa.string()),
        ("model_version", pa.string()),
        ("degraded", pa.bool_()),
        ("degraded_reasons", pa.list_(pa.string())),
        ("queue_ms", pa.float64()),
        ("features_ms", pa.float64()),
        ("encode_ms", pa.float64()),
        ("model_ms", pa.float64()),
        ("total_ms", pa.float64()),
        ("sample_rate", pa.float64()),
        ("masked", pa.list_(pa.string())),
    ]
)
"""Columns of a shipped segment. `features` is JSON text: its keys belong to the feature service, not to the log."""

_LINE = orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY


# Neither frozen nor with slots: made once per request, and orjson writes one with a __dict__ twice as fast.
@dataclass
class PredictionRecord:
    """One answered request. Instants are aware, durations milliseconds.

    Attributes:
        sample_rate: Share of the requests that were kept when this one was: it stands for 1/sample_rate of them.
        masked: Fields that the policy emptied (`company:drop`) or hashed (`company:hash`).
    """

    request_id: str
    time: datetime
    posting_id: str
    event_timestamp: datetime
    company: str | None
    board: str | None
    features: Mapping[str, Any]
    features_expired: Sequence[str]
    features_missing: Sequence[str]
    features_later: Sequence[str]
    label: str
    probability: float
    model_name: str
    model_version: str
    degraded: bool
    degraded_reasons: Sequence[str]
    queue_ms: float
    features_ms: float
    encode_ms: float
    model_ms: float
    total_ms: float
    role: Role = "champion"
    client: str = "anonymous"
    sample_rate: float = 1.0
    masked: Sequence[str] = ()

    def line(self) -> bytes:
        """The record as one line of JSON; instants in RFC 3339, with the offset that they came with."""
        return orjson.dumps(self, option=_LINE)


def line_of(fields: Mapping[str, Any]) -> bytes:
    """A record's fields as one line of JSON, for a record that is written otherwise than it was made."""
    return orjson.dumps(fields, option=_LINE)


def to_table(lines: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Parsed lines in `LOG_SCHEMA`. A field that a line lacks is null.

    Raises:
        pyarrow.ArrowException: A field is of the wrong type.
        ValueError: An instant is none.
    """
    columns = []
    for field in LOG_SCHEMA:
        values = [line.get(field.name) for line in lines]
        if field.type == TIME:
            values = [None if value is None else datetime.fromisoformat(value) for value in values]
        elif field.name == "features":
            values = [orjson.dumps(value or {}).decode() for value in values]
        columns.append(pa.array(values, field.type))
    return pa.Table.from_arrays(columns, schema=LOG_SCHEMA)
