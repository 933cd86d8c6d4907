"""Windows of event time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pandas as pd

from plumbline.errors import UserError
from plumbline.instants import parse_instant

_DAY = timedelta(days=1)
_MOST = 100_000
"""Of any unit: far more than a log can hold, and still a duration that can be counted with."""
_UNITS = {"h": timedelta(hours=1), "d": _DAY, "w": timedelta(weeks=1)}


@dataclass(frozen=True)
class Window:
    """Half-open interval of event time, [start, end), UTC."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        """Refuses an interval that holds nothing.

        Raises:
            UserError: It ends before it starts.
        """
        if self.end <= self.start:
            raise UserError(f"The window ends ({self.end.isoformat()}) before it starts ({self.start.isoformat()}).")

    @classmethod
    def parse(cls, text: str) -> Window:
        """Reads `START/END`, the interval notation of ISO 8601.

        Raises:
            UserError: It is not that.
        """
        start, separator, end = text.partition("/")
        if not separator:
            raise UserError(f"{text!r} is not a window: write START/END, as in 2026-01-05/2026-01-19.")
        return cls(parse_instant(start), parse_instant(end))

    @classmethod
    def last_before(cls, length: timedelta, newest: datetime) -> Window:
        """The window of this length that ends with the newest whole day of a log whose last posting is at `newest`.

        The day of that posting is not whole: more of it may come.
        """
        return cls.of_length(length, newest.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0))

    @classmethod
    def of_length(cls, length: timedelta, end: datetime) -> Window:
        """The window of this length that ends at `end`.

        Raises:
            UserError: It would begin before the calendar does.
        """
        try:
            return cls(end - length, end)
        except OverflowError as error:
            raise UserError(f"A window of {length.days} days does not fit before {end.isoformat()}.") from error

    def holds(self, times: pd.Series) -> pd.Series:
        """Which instants lie in it."""
        return (times >= pd.Timestamp(self.start)) & (times < pd.Timestamp(self.end))

    def __str__(self) -> str:
        """`START/END`."""
        return f"{self.start.isoformat()}/{self.end.isoformat()}"


def parse_duration(text: str) -> timedelta:
    """Reads `36h`, `14d` or `2w`.

    Raises:
        UserError: It is none of these, or nothing.
    """
    number, unit = text.strip()[:-1], text.strip()[-1:]
    if unit not in _UNITS or not number.isdecimal() or int(number) == 0:
        raise UserError(f"{text!r} is not a duration: write hours, days or weeks, as in 36h, 14d or 2w.")
    return min(int(number), _MOST) * _UNITS[unit]
