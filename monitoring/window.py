"""Windows of event time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pandas as pd

from plumbline.errors import UserError


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

    def holds(self, times: pd.Series) -> pd.Series:
        """Which instants lie in it."""
        return (times >= pd.Timestamp(self.start)) & (times < pd.Timestamp(self.end))

    def __str__(self) -> str:
        """`START/END`."""
        return f"{self.start.isoformat()}/{self.end.isoformat()}"


def parse_instant(text: str) -> datetime:
    """Reads an ISO 8601 instant or date; without a time zone it is UTC.

    Raises:
        UserError: It is not one.
    """
    try:
        instant = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise UserError(f"{text!r} is not a time: write it as 2026-01-05 or 2026-01-05T00:00:00+00:00.") from error
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
