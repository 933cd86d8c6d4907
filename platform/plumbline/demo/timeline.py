"""Which weeks of a stream play which part in the demo."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from plumbline.errors import UserError

WEEK = timedelta(days=7)
WINDOW_WEEKS = 2
LEAST_WEEKS = 8


@dataclass(frozen=True)
class Timeline:
    """Instants of the story, UTC; intervals are half open, [start, end).

    Attributes:
        first: Start of the stream's first week.
        end: End of its last week.
        first_training: The first model knows what was known at this instant.
        change_point: The drift scenario sets in.
        retraining: The second model knows what was known at this instant.
    """

    first: datetime
    end: datetime
    first_training: datetime
    change_point: datetime
    retraining: datetime

    @property
    def clean_window(self) -> tuple[datetime, datetime]:
        """The window before the change point."""
        return self.change_point - WINDOW_WEEKS * WEEK, self.change_point

    @property
    def drifted_window(self) -> tuple[datetime, datetime]:
        """The window after the change point."""
        return self.change_point, self.change_point + WINDOW_WEEKS * WEEK

    @property
    def label_wait(self) -> timedelta:
        """How long after the drifted window the second training waits for labels."""
        return self.retraining - self.drifted_window[1]


def plan(first_event: datetime, last_event: datetime) -> Timeline:
    """Lays the story over a stream: the last quarter of its weeks (at least three) is drifted.

    The second training follows the drifted window at once where few weeks are left, and waits a week for
    labels where there is time to show what follows.

    Args:
        first_event: First event of the stream; weeks are counted from the start of its day.
        last_event: Last event of the stream.

    Raises:
        UserError: The stream is shorter than eight weeks.
    """
    first = first_event.replace(hour=0, minute=0, second=0, microsecond=0)
    weeks = int((last_event - first) / WEEK) + 1
    if weeks < LEAST_WEEKS:
        raise UserError(
            f"The postings span {weeks} weeks; the demo needs at least {LEAST_WEEKS} "
            "(training, a clean window, a drifted window, and the time after). Give a longer file."
        )
    drifted_weeks = max(WINDOW_WEEKS + 1, weeks // 4)
    change_point = first + (weeks - drifted_weeks) * WEEK
    wait_weeks = 1 if drifted_weeks > WINDOW_WEEKS + 2 else 0
    return Timeline(
        first=first,
        end=first + weeks * WEEK,
        first_training=change_point - WINDOW_WEEKS * WEEK,
        change_point=change_point,
        retraining=change_point + (WINDOW_WEEKS + wait_weeks) * WEEK,
    )
