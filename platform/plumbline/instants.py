"""Reads instants: the one way for options, settings, pipeline parameters and annotations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from plumbline.errors import UserError

_MOST_SECONDS = 2e10
"""Greater numbers are milliseconds, as pydantic has it, which reads requests; in seconds it is the year 2603."""


def from_epoch(text: str) -> datetime:
    """Reads seconds or milliseconds since 1970.

    Returns:
        The instant in UTC.

    Raises:
        ValueError: It is not a number, or lies outside the calendar.
    """
    number = float(text)
    seconds = number / 1000 if abs(number) > _MOST_SECONDS else number
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    except OverflowError as error:
        raise ValueError(f"{text} lies outside the calendar") from error


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
