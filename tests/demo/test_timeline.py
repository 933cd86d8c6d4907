from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from plumbline.demo.timeline import WEEK, plan
from plumbline.errors import UserError

START = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize("weeks", [8, 15, 26, 52])
def test_the_story_fits_into_the_stream(weeks: int) -> None:
    timeline = plan(START, START + weeks * WEEK - timedelta(days=1))
    assert timeline.first.hour == 0
    assert timeline.end - timeline.first == weeks * WEEK
    assert timeline.first < timeline.first_training == timeline.clean_window[0]
    assert timeline.clean_window[1] == timeline.change_point == timeline.drifted_window[0]
    assert timeline.drifted_window[1] <= timeline.retraining < timeline.end


def test_weekly_collections_count_as_whole_weeks() -> None:
    timeline = plan(datetime(2021, 6, 28, tzinfo=UTC), datetime(2021, 10, 4, tzinfo=UTC))
    assert timeline.end == datetime(2021, 10, 11, tzinfo=UTC)
    assert timeline.change_point == datetime(2021, 9, 20, tzinfo=UTC)


def test_a_short_stream_is_refused() -> None:
    with pytest.raises(UserError, match="at least 8"):
        plan(START, START + 6 * WEEK)
