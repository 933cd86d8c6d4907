"""Reads instants: the one way for options, settings, pipeline parameters and annotations."""

from __future__ import annotations

from datetime import UTC, datetime

from plumbline.errors import UserError


def parse_instant(text: str) -> datetime:
    """Reads an ISO 8601 date or instant; without a time zone it is UTC.

    Returns:
        The instant in UTC.

    Raises:
        UserError: It is not one, or lies outside the calendar in UTC.
    """
    try:
        instant = datetime.fromisoformat(text.strip())
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UserError(f"{text!r} is not an instant: write it as 2026-01-05 or 2026-01-05T00:00:00+00:00.") from error
