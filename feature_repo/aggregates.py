"""The SQL behind the batch views: every row is strictly as of its time.

A row at time t of an entity uses postings with `event_timestamp` < t, and labels with `label_timestamp` <= t of such
postings: a posting is never counted in a row that it can be joined with. Rows exist at grid instants at which the
window holds anything; an entity that falls silent gets no more rows, and its last one ages.

Instead of a window per row, each posting is spread over the instants whose window it falls in, then grouped: the
work is postings times instants per window, whatever the number of entities, and DuckDB spills it to disk.
Times are integers, microseconds since 1970 UTC: no time zone can shift a window.
"""

from __future__ import annotations

from typing import Any

import duckdb
import pyarrow as pa

DAY = 86_400_000_000
"""Microseconds."""

ACTIVITY_WINDOW = 28 * DAY
LABEL_WINDOW = 56 * DAY

_ACTIVITY = """
WITH seen AS (
    SELECT {entity} AS entity, event, hash(lower(title)) AS title, {other} AS other, has_salary
    FROM postings WHERE {entity} <> '' AND event < $until
), spread AS (
    SELECT *, unnest(range((event // $grid + 1) * $grid, least(event + $window, $until) + 1, $grid)) AS t FROM seen
), firsts AS (
    SELECT entity, min(event) AS first_event FROM seen GROUP BY entity
)
SELECT entity AS {entity}, t AS event_timestamp, {features}
FROM spread JOIN firsts USING (entity) GROUP BY entity, t ORDER BY entity, t
"""

_COMPANY_FEATURES = f"""
    count(*) FILTER (WHERE t <= event + {7 * DAY}) AS company_postings_7d,
    count(*) AS company_postings_28d,
    count(DISTINCT title) AS company_titles_28d,
    count(DISTINCT other) AS company_boards_28d,
    (t - any_value(first_event)) / {DAY}.0 AS company_days_since_first
"""

_BOARD_FEATURES = f"""
    count(*) FILTER (WHERE t <= event + {7 * DAY}) AS board_postings_7d,
    count(*) AS board_postings_28d,
    count(DISTINCT other) FILTER (WHERE other <> '') AS board_companies_28d,
    count(*) FILTER (WHERE has_salary) / count(*) AS board_salary_share_28d
"""

# With n_i of N labels in class i, the entropy -sum(n_i/N ln(n_i/N)) is ln N - sum(n_i ln n_i) / N.
_LABELS = """
WITH spread AS (
    SELECT {entity} AS entity, label, unnest(range(
        greatest((event // $grid + 1) * $grid, (label_time + $grid - 1) // $grid * $grid),
        least(label_time + $window - 1, $until) + 1,
        $grid
    )) AS t
    FROM postings WHERE {entity} <> '' AND label IS NOT NULL AND event < $until AND label_time <= $until
), counts AS (
    SELECT entity, t, label, count(*) AS n FROM spread GROUP BY entity, t, label
)
SELECT
    entity AS {entity},
    t AS event_timestamp,
    sum(n)::BIGINT AS {entity}_labelled_56d,
    first(label ORDER BY n DESC, label) AS {entity}_top_label,
    max(n) / sum(n) AS {entity}_top_label_share,
    greatest(0.0, ln(sum(n)) - sum(n * ln(n) ORDER BY label) / sum(n)) AS {entity}_label_entropy
FROM counts GROUP BY entity, t ORDER BY entity, t
"""

VIEWS: dict[str, str] = {
    "company_activity": _ACTIVITY.format(entity="company", other="board", features=_COMPANY_FEATURES),
    "board_activity": _ACTIVITY.format(entity="board", other="company", features=_BOARD_FEATURES),
    "company_labels": _LABELS.format(entity="company"),
    "board_labels": _LABELS.format(entity="board"),
}


def compute_view(connection: duckdb.DuckDBPyConnection, view: str, *, until: int, grid: int) -> pa.Table:
    """Computes all rows of one view up to and including `until`.

    Args:
        connection: Has the relation `postings(company, board, title, has_salary, event, label, label_time)`.
        view: Name of the view.
        until: Microseconds since 1970, UTC.
        grid: Microseconds between two rows of an entity.

    Returns:
        The key, `event_timestamp` (microseconds, UTC) and the view's features, sorted by key and time.
    """
    window = LABEL_WINDOW if view.endswith("_labels") else ACTIVITY_WINDOW
    parameters: dict[str, Any] = {"until": until, "grid": grid, "window": window}
    table = connection.sql(VIEWS[view], params=parameters).to_arrow_table()
    position = table.column_names.index("event_timestamp")
    times = table.column(position).cast(pa.timestamp("us", tz="UTC"))
    return table.set_column(position, "event_timestamp", times)
