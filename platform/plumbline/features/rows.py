"""When an entity's rows are, straight from the views' files."""

from __future__ import annotations

from datetime import datetime

import duckdb
import pandas as pd
import pyarrow as pa

from plumbline.features.clock import micros
from plumbline.features.plan import ServicePlan
from plumbline.features.views import view_file
from plumbline.settings import Settings


def last_rows(settings: Settings, plan: ServicePlan, key: str, at: datetime) -> pd.DataFrame:
    """Where the rows of every entity of one key lie around an instant.

    Args:
        settings: Where the views' files are.
        plan: The service; its views with this key are looked at.
        key: The entity's key, such as `company`.
        at: The instant.

    Returns:
        By entity, a column per view: the time of its last row up to and including `at`, or NaT; and `next`, the time
        of the first row after it in any of the views. Microseconds, UTC.
    """
    views = [view.name for view in plan.batch if view.key == key]
    lasts = ", ".join(f"max(t) FILTER (WHERE view = '{name}' AND t <= $at) AS {name}" for name in views)
    with duckdb.connect(":memory:") as connection:
        for name in views:
            connection.read_parquet(str(view_file(settings, name))).create_view(name)
        # Names come from the registry; times are integers, which no session time zone can shift.
        union = " UNION ALL ".join(
            f"SELECT '{name}' AS view, {key} AS entity, epoch_us(event_timestamp) AS t FROM {name}"  # noqa: S608
            for name in views
        )
        query = f"SELECT entity, {lasts}, min(t) FILTER (WHERE t > $at) AS next FROM ({union}) GROUP BY 1 ORDER BY 1"  # noqa: S608
        table = connection.sql(query, params={"at": micros(at)}).to_arrow_table()
    times = [pa.field(name, pa.timestamp("us", tz="UTC")) for name in (*views, "next")]
    frame: pd.DataFrame = table.cast(pa.schema([pa.field("entity", pa.string()), *times])).to_pandas()
    return frame.set_index("entity")
