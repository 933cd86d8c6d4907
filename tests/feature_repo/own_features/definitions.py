"""What the registry is to hold."""

from __future__ import annotations

from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.types import Int64, String

from plumbline.features.store import apply_definitions
from plumbline.settings import Settings


def apply(settings: Settings) -> dict[str, int]:
    """Writes the definitions to the registry."""
    board = Entity(name="board", join_keys=["board"], value_type=ValueType.STRING)
    totals = FeatureView(
        name="board_totals",
        entities=[board],
        ttl=timedelta(days=30),
        schema=[Field(name="board", dtype=String), Field(name="board_total", dtype=Int64)],
        source=FileSource(name="board_totals_rows", path="board_totals.parquet", timestamp_field="event_timestamp"),
    )
    return apply_definitions(settings, [board, totals, FeatureService(name="own_v1", features=[totals])])
