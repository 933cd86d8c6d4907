"""Reads the prediction log, wherever its parts lie, each request once."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from plumbline.settings import Settings
from plumbline.storage import open_store
from serving.prediction_log.record import LOG_SCHEMA, to_table
from serving.prediction_log.segments import parse_segment, spool_dir
from serving.prediction_log.shipping import OBJECT_PREFIX
from serving.prediction_log.spool import SEGMENT_SUFFIX


def read(settings: Settings) -> pd.DataFrame:
    """All logged predictions in order of time, one row per request id, the first one kept.

    Columns are those of `LOG_SCHEMA`, with `features` parsed to dictionaries. Segments that are still written to
    are read as far as they go.

    Raises:
        DependencyError: The object store did not answer.
    """
    # The spool first: a segment that is shipped while we read is then seen twice, which is undone, not missed.
    tables = [
        to_table(records)
        for path in sorted(spool_dir(settings).glob(f"*{SEGMENT_SUFFIX}"))
        if (records := _read_if_there(path))
    ]
    store = open_store(settings)
    tables += [_shipped(store.get(key)) for key in store.list(OBJECT_PREFIX)]
    log: pd.DataFrame = pa.concat_tables(tables or [LOG_SCHEMA.empty_table()]).to_pandas()
    log = log.sort_values("time", kind="stable").drop_duplicates("request_id", ignore_index=True)
    log["features"] = [orjson.loads(text) for text in log["features"]]
    return log


def _shipped(content: bytes) -> pa.Table:
    """A shipped segment, with null for columns that its release did not have."""
    found = pq.read_table(io.BytesIO(content))
    return pa.concat_tables([LOG_SCHEMA.empty_table(), found], promote_options="default").select(LOG_SCHEMA.names)


def _read_if_there(path: Path) -> list[dict[str, Any]]:
    try:
        return parse_segment(path.read_bytes(), path.name)
    except FileNotFoundError:
        return []
