from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from posting_rows import START, posting
from pydantic import ValidationError

from plumbline.data.checks import check
from plumbline.data.contract import POSTING_COLUMNS, POSTING_SCHEMA, REQUEST_COLUMNS, Posting, PostingRequest
from plumbline.data.mapping.rows import Problem


def test_schema_and_model_have_the_same_columns() -> None:
    assert tuple(Posting.model_fields) == POSTING_COLUMNS
    assert (*REQUEST_COLUMNS, "label", "label_timestamp") == POSTING_COLUMNS
    assert {str(POSTING_SCHEMA.field(name).type) for name in ("event_timestamp", "label_timestamp")} == {
        "timestamp[us, tz=UTC]"
    }


def test_a_good_record_is_a_posting_and_blanks_are_nothing() -> None:
    checked = check(posting(company="  ", salary_min=math.nan, title=" Electrician "))
    assert isinstance(checked, Posting)
    assert (checked.company, checked.salary_min, checked.title) == (None, None, "Electrician")


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"title": None}, Problem("title", "missing")),
        ({"title": "   "}, Problem("title", "empty")),
        ({"title": "x" * 513}, Problem("title", "too long")),
        ({"employment_type": "PERM"}, Problem("employment_type", "not a value of the contract")),
        ({"currency": "zł"}, Problem("currency", "not a code of the right form")),
        ({"currency": None}, Problem("salary_min", "a salary needs its currency")),
        ({"salary_min": 6000.0}, Problem("salary_min", "salary_min is above salary_max")),
        ({"salary_min": -1.0}, Problem("salary_min", "too small")),
        ({"salary_max": math.inf}, Problem("salary_max", "not finite")),
        ({"event_timestamp": datetime(2026, 1, 5)}, Problem("event_timestamp", "no time zone")),
        (
            {"event_timestamp": START.replace(year=1970), "label": None, "label_timestamp": None},
            Problem("event_timestamp", "event_timestamp is before 2000-01-01"),
        ),
        ({"label_timestamp": None}, Problem("label", "label and label_timestamp must come together")),
        (
            {"label_timestamp": START - timedelta(days=1)},
            Problem("label_timestamp", "label_timestamp is before event_timestamp"),
        ),
        ({"wage": 1}, Problem("wage", "not a field of the contract")),
    ],
)
def test_what_is_wrong_is_said_with_its_field(changed: dict[str, Any], problem: Problem) -> None:
    assert check(posting(**changed)) == [problem]


def test_a_request_of_a_year_typed_wrongly_is_refused_and_a_row_is_left_to_its_collection() -> None:
    row = posting(event_timestamp=START.replace(year=2099), label=None, label_timestamp=None)
    assert isinstance(check(row), Posting)
    sent = {name: value for name, value in row.items() if name in REQUEST_COLUMNS}
    with pytest.raises(ValidationError, match="event_timestamp is more than 366 days ahead"):
        PostingRequest.model_validate(sent)
    PostingRequest.model_validate(sent | {"event_timestamp": datetime.now(UTC) + timedelta(days=365)})


def test_everything_that_is_wrong_is_said() -> None:
    problems = check(posting(title="", board=None))
    assert isinstance(problems, list)
    assert {each.field for each in problems} == {"title", "board"}


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(ValidationError):
        Posting.model_validate(posting(wage=1))
