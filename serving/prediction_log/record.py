"""What one line of the prediction log holds, and the columns that it is shipped and read as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import pyarrow as pa

_TIME = pa.timestamp("us", tz="UTC")

LOG_SCHEMA = pa.schema(
    [
        ("request_id", pa.string()),
        ("time", _TIME),
        ("posting_id", pa.string()),
        ("event_timestamp", _TIME),
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
    ]
)
"""Columns of a shipped segment. `features` is JSON text: its keys belong to the feature service, not to the log."""


@dataclass(frozen=True, slots=True)
class PredictionRecord:
    """One answered request. Times are ISO 8601 text in UTC, durations milliseconds."""

    request_id: str
    time: str
    posting_id: str
    event_timestamp: str
    company: str | None
    board: str
    features: Mapping[str, Any]
    features_expired: list[str]
    features_missing: list[str]
    features_later: list[str]
    label: str
    probability: float
    model_name: str
    model_version: str
    degraded: bool
    degraded_reasons: list[str]
    queue_ms: float
    features_ms: float
    encode_ms: float
    model_ms: float
    total_ms: float

    def line(self) -> bytes:
        """The record as one line of JSON."""
        return orjson.dumps(self, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY)


def to_table(lines: list[dict[str, Any]]) -> pa.Table:
    """Parsed lines in `LOG_SCHEMA`. A field that a line lacks is null: an older release may have written it."""
    rows = [
        {
            **line,
            "time": _instant(line.get("time")),
            "event_timestamp": _instant(line.get("event_timestamp")),
            "features": orjson.dumps(line.get("features") or {}).decode(),
        }
        for line in lines
    ]
    return pa.Table.from_pylist(rows, schema=LOG_SCHEMA)


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
