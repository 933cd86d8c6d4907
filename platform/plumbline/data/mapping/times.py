"""Reads instants in the forms that files have them in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from zoneinfo import ZoneInfo

from plumbline.instants import from_epoch

_AGE = re.compile(r"(\d{1,4})\+? (minute|hour|day|week)s? ago", re.IGNORECASE)
_NAMED_UTC = re.compile(r"\b(?:UTC|GMT|Z)$", re.IGNORECASE)
_ADVICE = (
    (re.compile(r"-?\d{9,}(?:\.\d+)?"), "a number since 1970? Set `format: epoch`"),
    (re.compile(r"[A-Za-z]{3}, \d.*"), "a date of a mail or a feed? Set `format: rfc2822`"),
    (re.compile(r".* ago", re.IGNORECASE), "relative to its collection? Map `collected_at` and set `format: relative`"),
    (re.compile(r"\d{1,2}([./-])\d{1,2}\1\d{4}.*"), "day or month first? Set `format`, such as %d/%m/%Y"),
)


class UnreadableError(Exception):
    """A text cannot be read as what the mapping says it is."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def age_of(text: str) -> timedelta | None:
    """How long before its collection something was, such as `30+ days ago`; None for other texts."""
    match = _AGE.fullmatch(text)
    return None if match is None else timedelta(**{f"{match[2].lower()}s": int(match[1])})


def read_instant(text: str, formats: Sequence[str], zone: ZoneInfo) -> datetime:
    """Reads an instant.

    Args:
        text: Text.
        formats: Of a mapping's `format`; the first that fits is taken.
        zone: Of a text that names none.

    Returns:
        The instant in UTC.

    Raises:
        UnreadableError: No format fits.
    """
    for each in formats:
        try:
            moment = _read(text, each)
            return (moment.replace(tzinfo=zone) if moment.tzinfo is None else moment).astimezone(UTC)
        except (ValueError, OverflowError):
            continue
    reason = "not a time in the mapping's format"
    advice = next((advice for sign, advice in _ADVICE if sign.fullmatch(text)), None)
    raise UnreadableError(reason if advice is None else f"{reason} ({advice})")


def _read(text: str, form: str) -> datetime:
    if form == "iso":
        return datetime.fromisoformat(text)
    if form == "epoch":
        return from_epoch(text)
    if form == "rfc2822":
        return parsedate_to_datetime(text)
    moment = datetime.strptime(text, form)  # noqa: DTZ007 - the zone is the text's own, or the mapping's
    if moment.tzinfo is None and _NAMED_UTC.search(text):
        return moment.replace(tzinfo=UTC)
    if moment.tzinfo is None and "%Z" in form:
        raise ValueError(f"{text} names a zone of this machine")  # strptime knows no others, and drops it
    return moment
