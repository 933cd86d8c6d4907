"""Instants as integers, and the grid that rows of views lie on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

NO_ROW = datetime(1970, 1, 2, tzinfo=UTC)
"""Time of an online row without values: its entity has none. Feast's online stores have no call that takes one
entity's row away."""


def micros(instant: datetime) -> int:
    """Microseconds since 1970, UTC, exactly: what Arrow and DuckDB count in."""
    return (instant - EPOCH) // timedelta(microseconds=1)


def next_grid_instant(instant: datetime, grid: timedelta) -> datetime:
    """The first multiple of `grid` since 1970 that is later than `instant`: no view has a row in between."""
    return EPOCH + ((instant - EPOCH) // grid + 1) * grid
