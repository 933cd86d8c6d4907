"""One reader of instants: what it takes, and that the advice of its refusal is taken."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline.errors import UserError
from plumbline.features.instants import instant_of
from plumbline.instants import parse_instant
from plumbline.settings import Settings

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-01-01", NEW_YEAR),
        (" 2026-01-01T00:00:00 ", NEW_YEAR),
        ("2026-01-01T00:00:00Z", NEW_YEAR),
        ("2026-01-01T01:00:00+01:00", NEW_YEAR),
        ("2026-01-01 06:30:00.5", NEW_YEAR + timedelta(hours=6, minutes=30, microseconds=500_000)),
    ],
)
def test_instants_are_read_as_utc(text: str, instant: datetime) -> None:
    assert parse_instant(text) == instant
    assert parse_instant(text).tzinfo is UTC


@pytest.mark.parametrize("text", ["yesterday", "", "2026-13-01", "0001-01-01T00:00:00+14:00", "1767693600"])
def test_a_refusal_shows_forms_that_are_taken(text: str) -> None:
    with pytest.raises(UserError) as refused:
        parse_instant(text)
    advised = re.findall(r"\d{4}-\d{2}-\d{2}[T0-9:+]*", str(refused.value).partition("write it as")[2])
    assert len(advised) == 2
    assert parse_instant(advised[0]) == parse_instant(advised[1])


@given(st.datetimes(timezones=st.just(UTC)))
def test_what_is_written_is_read_again(instant: datetime) -> None:
    assert parse_instant(instant.isoformat()) == instant


def test_words_stand_for_the_clock(settings: Settings) -> None:
    before = datetime.now(UTC)
    assert before <= instant_of("now", settings) <= datetime.now(UTC)
    assert instant_of("2026-01-01", settings) == NEW_YEAR
    with pytest.raises(UserError, match="`now` and `latest`"):
        instant_of("tomorrow", settings)
