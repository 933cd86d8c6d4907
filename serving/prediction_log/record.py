"""What one line of the prediction log holds, and the columns that it is shipped and read as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import pandas as pd
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


def to_frame(lines: list[dict[str, Any]]) -> pd.DataFrame:
    """Parsed lines as a frame with the columns of `LOG_SCHEMA`, `features` as JSON text."""
    frame = pd.DataFrame(lines, columns=LOG_SCHEMA.names)
    for column in ("time", "event_timestamp"):
        frame[column] = pd.to_datetime(frame[column], utc=True, format="ISO8601").dt.as_unit("us")
    frame["features"] = [orjson.dumps(features).decode() for features in frame["features"]]
    return frame
