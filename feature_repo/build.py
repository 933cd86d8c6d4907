"""Computes the batch views from a posting log and writes them where the views' sources read them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import duckdb
import pandas as pd
import pyarrow as pa

from feature_repo.aggregates import VIEWS, compute_view
from plumbline.errors import MissingInputError
from plumbline.features.clock import micros, next_grid_instant
from plumbline.features.views import BuiltViews, views_dir
from plumbline.features.views_writer import write_views
from plumbline.settings import Settings


def build_views(
    settings: Settings, postings: pd.DataFrame, *, snapshot_id: str, until: datetime | None = None
) -> BuiltViews:
    """Computes every view from the postings and replaces the files of the last computation.

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
    grid = timedelta(hours=settings.features.grid_hours)
    if postings.empty:
        raise MissingInputError(
            "There are no postings to compute features from. Run `plumbline data ingest --generate`, or with a file "
            "of your own, first."
        )
    until = until or _after_everything(postings, grid)
    if not (postings["event_timestamp"] < until).any():
        raise MissingInputError(
            f"There is no posting before {until.isoformat()}; the first is at "
            f"{postings['event_timestamp'].min().isoformat()}. Choose a later instant."
        )
    return write_views(settings, _tables(settings, postings, until, grid), snapshot_id=snapshot_id, until=until)


def _tables(
    settings: Settings, postings: pd.DataFrame, until: datetime, grid: timedelta
) -> Iterator[tuple[str, pa.Table]]:
    with duckdb.connect(":memory:", config={"temp_directory": str(views_dir(settings) / ".spill")}) as connection:
        connection.register("postings", _relation(postings))
        for view in VIEWS:
            yield view, compute_view(connection, view, until=micros(until), grid=grid // timedelta(microseconds=1))


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
