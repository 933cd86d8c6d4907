"""The instants that features and models stand at: ISO 8601, or a word for where the clock or the postings stand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from plumbline.errors import UserError
from plumbline.features.clock import next_grid_instant
from plumbline.instants import parse_instant
from plumbline.settings import Settings

NOW = "now"
LATEST = "latest"


def instant_of(text: str, settings: Settings, *, snapshot: str = LATEST) -> datetime:
    """Reads an instant.

    Args:
        text: What `parse_instant` reads, `now`, or `latest`: the first instant of the grid after the newest posting
            of the snapshot. A posting that is later than its own collection does not count (`collected`).
        settings: Where snapshots lie, and how wide the grid is.
        snapshot: Which snapshot `latest` speaks of.

    Raises:
        UserError: It is none of these.
        MissingInputError: `latest` was said, and there is no snapshot.
        ContractError: `latest` was said, and every posting is later than its collection.
    """
    if text == NOW:
        return datetime.now(UTC)
    if text == LATEST:
        from plumbline.features.collected import newest_event

        return next_grid_instant(newest_event(settings, snapshot), timedelta(hours=settings.features.grid_hours))
    try:
        return parse_instant(text)
    except UserError as error:
        raise UserError(f"{error} `now` and `latest` are instants, too.") from error
