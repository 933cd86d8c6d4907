"""Computes the batch views from a posting log and writes them where the views' sources read them."""

from __future__ import annotations

import errno
import time
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from feature_repo.aggregates import VIEWS, compute_view
from plumbline.errors import DiskFullError, MissingInputError
from plumbline.features.clock import micros, next_grid_instant
from plumbline.features.leftovers import sweep
from plumbline.features.shared_views import publish_views
from plumbline.features.views import BuiltViews, record_file, view_file, views_dir
from plumbline.files import atomic_write
from plumbline.settings import Settings


def build_views(
    settings: Settings, postings: pd.DataFrame, *, snapshot_id: str, until: datetime | None = None
) -> BuiltViews:
    """Computes every view from the postings and replaces the files of the last computation.

    Each file is replaced as a whole: a reader sees the old rows or the new ones, and a killed build leaves the old.
    Where there is a bucket, the views are published there for every other reader.

    Args:
        settings: Where the views lie and how far apart their rows are.
        postings: Rows of the posting contract, in any order.
        snapshot_id: Snapshot that the postings come from; it is recorded.
        until: The last instant that rows are computed for; None goes on to the first grid instant after the last
            event or label.

    Raises:
        MissingInputError: There is no posting before `until`.
        DiskFullError: The disk has no room for the views.
        DependencyError: There is a bucket, and it did not take them.
    """
    start = time.monotonic()
    grid = timedelta(hours=settings.features.grid_hours)
    if postings.empty:
        raise MissingInputError("There are no postings to compute features from. Ingest some first.")
    until = until or _after_everything(postings, grid)
    if not (postings["event_timestamp"] < until).any():
        raise MissingInputError(
            f"There is no posting before {until.isoformat()}; the first is at "
            f"{postings['event_timestamp'].min().isoformat()}. Choose a later instant."
        )
    folder = views_dir(settings)
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder, ".*-*")
    rows: dict[str, int] = {}
    with duckdb.connect(":memory:", config={"temp_directory": str(folder / ".spill")}) as connection:
        connection.register("postings", _relation(postings))
        for view in VIEWS:
            table = compute_view(connection, view, until=micros(until), grid=grid // timedelta(microseconds=1))
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


def _relation(postings: pd.DataFrame) -> pa.Table:
    """The columns that the SQL reads; times as integers, so that no time zone has a say."""
    return pa.table(
        {
            "company": pa.array(postings["company"], pa.string(), from_pandas=True).fill_null(""),
            "board": pa.array(postings["board"], pa.string(), from_pandas=True).fill_null(""),
            "title": pa.array(postings["title"], pa.string(), from_pandas=True).fill_null(""),
            "has_salary": pa.array(postings["salary_min"].notna() | postings["salary_max"].notna(), pa.bool_()),
            "event": _integers(postings["event_timestamp"]),
            "label": pa.array(postings["label"], pa.string(), from_pandas=True),
            "label_time": _integers(postings["label_timestamp"]),
        }
    )


def _integers(times: pd.Series) -> pa.Array:
    return pa.array(times, pa.timestamp("us", tz="UTC"), from_pandas=True).cast(pa.int64())


def _after_everything(postings: pd.DataFrame, grid: timedelta) -> datetime:
    last = postings[["event_timestamp", "label_timestamp"]].max().max()
    return next_grid_instant(last.to_pydatetime(), grid)


def _replace(target: Path, content: pa.Table | bytes) -> None:
    """Writes to a temporary name, then renames; leaves nothing behind when it fails."""
    try:
        with atomic_write(target) as temporary:
            if isinstance(content, bytes):
                temporary.write_bytes(content)
            else:
                pq.write_table(content, temporary, compression="zstd", coerce_timestamps="us")
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(
                f"No room on the disk of {target.parent} for {target.name}. Free some space, or point "
                "PLUMBLINE_HOME to a larger disk."
            ) from error
        raise
