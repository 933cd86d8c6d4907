"""The hours that the log's objects lie under."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from plumbline.storage import ObjectStore

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_MOST_LISTINGS = 62


def keys_between(store: ObjectStore, prefix: str, since: datetime | None, until: datetime | None) -> Iterator[str]:
    """Keys of the objects whose hour overlaps [since, until); None is no bound.

    Raises:
        DependencyError: The object store did not answer.
    """
    for folder in _folders(prefix, since, until):
        for key in store.list(folder):
            hour = hour_of(key, prefix)
            if hour is None or (since is not None and hour + _HOUR <= since) or (until is not None and hour >= until):
                continue
            yield key


def hour_of(key: str, prefix: str) -> datetime | None:
    """Beginning of the hour that an object's key names; None if it is not one of the log's objects."""
    if not key.startswith(prefix) or not key.endswith(".parquet"):
        return None
    try:
        return datetime.strptime(key.removeprefix(prefix)[:13], "%Y/%m/%d/%H").replace(tzinfo=UTC)
    except ValueError:
        return None


def _folders(prefix: str, since: datetime | None, until: datetime | None) -> list[str]:
    """A folder per day where there are few: a store that holds years is then not listed whole."""
    if since is None:
        return [prefix]
    first = since.astimezone(UTC).date()
    # A day more than today: the clock of whoever wrote may be ahead of ours.
    last = (datetime.now(UTC) + _DAY if until is None else until.astimezone(UTC)).date()
    days = (last - first).days + 1
    if days > _MOST_LISTINGS:
        return [prefix]
    return [f"{prefix}{first + number * _DAY:%Y/%m/%d}/" for number in range(days)]
