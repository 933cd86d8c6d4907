"""Computes the view: at each midnight, how many postings a board has had before."""

from __future__ import annotations

from datetime import datetime

import pandas as pd
import pyarrow as pa

from plumbline.features.views import BuiltViews
from plumbline.features.views_writer import write_views
from plumbline.settings import Settings


def build_views(
    settings: Settings, postings: pd.DataFrame, *, snapshot_id: str, until: datetime | None = None
) -> BuiltViews:
    """Computes the view up to an instant, or for all postings."""
    day = postings["event_timestamp"].dt.floor("D") + pd.Timedelta(days=1)
    counts = postings.groupby([day, "board"]).size().unstack(fill_value=0)
    end = pd.Timestamp(until or day.max())
    grid = pd.date_range(counts.index.min(), end, freq="D", unit="us")
    rows = counts.reindex(grid, fill_value=0).cumsum().stack().rename("board_total").reset_index()
    rows.columns = ["event_timestamp", "board", "board_total"]
    fields = [("board", pa.string()), ("event_timestamp", pa.timestamp("us", "UTC")), ("board_total", pa.int64())]
    table = pa.Table.from_pandas(rows[rows["board_total"] > 0], schema=pa.schema(fields), preserve_index=False)
    return write_views(settings, [("board_totals", table)], snapshot_id=snapshot_id, until=end.to_pydatetime())
