"""Reads the prediction log, wherever its parts lie, each request once."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import orjson
import pandas as pd

from plumbline.settings import Settings
from plumbline.storage import open_store
from serving.prediction_log.record import LOG_SCHEMA, to_frame
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
    frames = [
        to_frame(records)
        for path in sorted(spool_dir(settings).glob(f"*{SEGMENT_SUFFIX}"))
        if (records := _read_if_there(path))
    ]
    store = open_store(settings)
    frames += [pd.read_parquet(io.BytesIO(store.get(key))) for key in store.list(OBJECT_PREFIX)]
    if not frames:
        return to_frame([])
    log: pd.DataFrame = pd.concat(frames, ignore_index=True)[LOG_SCHEMA.names]
    log = log.sort_values("time", kind="stable").drop_duplicates("request_id", ignore_index=True)
    log["features"] = [orjson.loads(text) for text in log["features"]]
    return log


def _read_if_there(path: Path) -> list[dict[str, Any]]:
    try:
        return parse_segment(path.read_bytes(), path.name)
    except FileNotFoundError:
        return []
