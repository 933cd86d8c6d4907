"""Writes computed views where their readers find them."""

from __future__ import annotations

import errno
import os
import tempfile
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from plumbline.errors import DiskFullError
from plumbline.features.leftovers import sweep
from plumbline.features.shared_views import publish_views
from plumbline.features.views import BuiltViews, record_file, view_file, views_dir
from plumbline.settings import Settings


def write_views(
    settings: Settings, tables: Iterable[tuple[str, pa.Table]], *, snapshot_id: str, until: datetime
) -> BuiltViews:
    """Replaces the files of the last computation.

    Each file is replaced as a whole: a reader sees the old rows or the new ones, and a killed build leaves the old.
    Where there is a bucket, the views are published there for every other reader.

    Args:
        settings: Where the views lie, and how far apart their rows are.
        tables: Each view's name and rows: the entity's key, `event_timestamp` (microseconds, UTC), a column per
            feature. Taken one by one, so that they may be computed on the way.
        snapshot_id: Snapshot that the postings come from; it is recorded.
        until: No row is later, and nothing that became known later went into any row.

    Raises:
        DiskFullError: The disk has no room for the views.
        DependencyError: There is a bucket, and it did not take them.
    """
    start = time.monotonic()
    folder = views_dir(settings)
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder, ".*-*")
    rows: dict[str, int] = {}
    for view, table in tables:
        _replace(view_file(settings, view), table)
        rows[view] = table.num_rows
    built = BuiltViews(
        snapshot_id=snapshot_id,
        until=until,
        grid_hours=settings.features.grid_hours,
        rows=rows,
        seconds=time.monotonic() - start,
    )
    _replace(record_file(settings), built.model_dump_json(indent=2).encode())
    files = [*(view_file(settings, view) for view in rows), record_file(settings)]
    publish_views(settings, folder, [path.name for path in files])
    return built


def _replace(target: Path, content: pa.Table | bytes) -> None:
    """Writes to a temporary name, then renames; leaves nothing behind when it fails."""
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-")
    os.close(handle)
    temporary = Path(name)
    try:
        if isinstance(content, bytes):
            temporary.write_bytes(content)
        else:
            pq.write_table(content, temporary, compression="zstd", coerce_timestamps="us")
        temporary.replace(target)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(
                f"No room on the disk of {target.parent} for {target.name}. Free some space, or point "
                "PLUMBLINE_HOME to a larger disk."
            ) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)
