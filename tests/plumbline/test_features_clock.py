"""Instants as integers, and the grid."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from plumbline.features.clock import micros, next_grid_instant

DAY = timedelta(days=1)


def test_microseconds_are_exact() -> None:
    assert micros(datetime(2024, 5, 1, 12, 0, 0, 123457, tzinfo=UTC)) % 1_000_000 == 123457
    assert micros(datetime(1970, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))) == 0


def test_the_next_grid_instant_is_strictly_later() -> None:
    midnight = datetime(2024, 5, 1, tzinfo=UTC)
    assert next_grid_instant(midnight, DAY) == midnight + DAY
    assert next_grid_instant(midnight - timedelta(microseconds=1), DAY) == midnight
    assert next_grid_instant(midnight, timedelta(hours=6)) == midnight + timedelta(hours=6)
