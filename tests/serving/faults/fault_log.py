"""What is in the prediction log, twice what is there twice: reading it for users would hide that."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Collection

import pyarrow.parquet as pq

from plumbline.settings import Settings
from plumbline.storage import open_store
from serving.prediction_log.segments import SEGMENT_SUFFIX, parse_lines, spool_dir
from serving.prediction_log.shipping import OBJECT_PREFIX


def shipped(settings: Settings) -> Counter[str]:
    """How often each request id is in the object store."""
    store = open_store(settings)
    found: Counter[str] = Counter()
    for key in store.list(OBJECT_PREFIX):
        found.update(pq.read_table(io.BytesIO(store.get(key)), columns=["request_id"])["request_id"].to_pylist())
    return found


def spooled(settings: Settings) -> Counter[str]:
    """How often each request id is in the spool."""
    return Counter(
        record["request_id"]
        for path in spool_dir(settings).glob(f"*{SEGMENT_SUFFIX}")
        for record in parse_lines(path.read_bytes().split(b"\n"), path.name)
    )


def require_each_once(log: Counter[str], answered: Collection[str]) -> None:
    """Each answered request is in the log, and none is twice."""
    missing = sorted(set(answered) - set(log))
    assert not missing, f"{len(missing)} of {len(answered)} answered requests are not in the log: {missing[:5]}"
    twice = [request_id for request_id, times in log.items() if times > 1]
    assert not twice, f"{len(twice)} requests are in the log more than once: {twice[:5]}"
