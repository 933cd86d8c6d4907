from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from posting_rows import START, posting, postings

from plumbline.data.frames import from_records
from plumbline.data.known import known_at
from plumbline.errors import UserError

instants = st.datetimes(datetime(2026, 1, 1), datetime(2026, 3, 1)).map(lambda moment: moment.replace(tzinfo=UTC))


def test_an_event_is_known_after_it_and_a_label_from_its_instant_on() -> None:
    frame = postings(3)
    assert list(known_at(frame, START + timedelta(days=2)).posting_id) == ["p0000", "p0001"]
    known = known_at(frame, START + timedelta(days=7))
    assert list(known.label) == ["7", None, None]
    assert list(known.label_timestamp.notna()) == [True, False, False]


def test_the_zone_of_the_instant_does_not_matter() -> None:
    frame = postings(20)
    as_of = START + timedelta(days=9)
    assert known_at(frame, as_of).equals(known_at(frame, as_of.astimezone(timezone(timedelta(hours=5)))))


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(UserError, match="no time zone"):
        known_at(postings(1), datetime(2026, 1, 5))


@given(
    rows=st.lists(st.tuples(instants, st.one_of(st.none(), st.timedeltas(timedelta(0), timedelta(40)))), max_size=12),
    as_of=instants,
    later=st.timedeltas(timedelta(0), timedelta(20)),
)
def test_time_travel_never_shows_the_future(
    rows: list[tuple[datetime, timedelta | None]], as_of: datetime, later: timedelta
) -> None:
    frame = from_records(
        posting(
            number,
            event_timestamp=event,
            label=None if delay is None else "7",
            label_timestamp=None if delay is None else event + delay,
        )
        for number, (event, delay) in enumerate(rows)
    )
    before = frame.copy()
    known = known_at(frame, as_of)
    assert frame.equals(before)
    assert (known.event_timestamp < as_of).all()
    assert (known.label_timestamp.dropna() <= as_of).all()
    assert known.label.notna().equals(known.label_timestamp.notna())
    assert len(known) == sum(event < as_of for event, _ in rows)
    # Looking back from later and then from as_of is looking from as_of.
    pd.testing.assert_frame_equal(known_at(known_at(frame, as_of + later), as_of), known)
