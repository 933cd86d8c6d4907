"""Where the computed feature views lie, and what they were computed from."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from plumbline import paths
from plumbline.errors import MissingInputError
from plumbline.features.shared_views import fetch_views
from plumbline.settings import Settings


class BuiltViews(BaseModel):
    """The record of one computation of all views."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    snapshot_id: str
    """Snapshot of the posting log that the views were computed from."""

    until: datetime
    """No row is later; nothing that became known later went into any row."""

    grid_hours: int
    """Hours between two rows of an entity."""

    rows: dict[str, int]
    """Rows by view."""

    seconds: float
    """How long the computation took."""


def views_dir(settings: Settings) -> Path:
    """Folder of the views' Parquet files."""
    return settings.features.views_dir or paths.features_dir(settings) / "views"


def view_file(settings: Settings, view: str) -> Path:
    """Parquet file of one view: its entity's key, `event_timestamp` (microseconds, UTC), one column per feature."""
    return views_dir(settings) / f"{view}.parquet"


def record_file(settings: Settings) -> Path:
    """Where the record of the last computation lies."""
    return views_dir(settings) / "built.json"


def built_views(settings: Settings) -> BuiltViews:
    """Reads the record of the last computation, after bringing the folder up to what other pods have published.

    Every reader of the views begins here.

    Raises:
        MissingInputError: The views have not been computed yet.
        DependencyError: There is a bucket, and it did not answer.
        IntegrityError: A published file is not what its digest says.
    """
    fetch_views(settings, views_dir(settings))
    path = record_file(settings)
    if not path.is_file():
        raise MissingInputError(
            f"There are no feature views in {path.parent}. Run `plumbline features build --snapshot latest` first."
        )
    return BuiltViews.model_validate_json(path.read_bytes())
