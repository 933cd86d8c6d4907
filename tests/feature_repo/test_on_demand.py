"""Request-time features, by the function as the registry gives it back."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from plumbline.features.plan import resolve
from plumbline.features.schema import feature_specs
from plumbline.features.store import open_feature_store
from plumbline.settings import Settings

POSTING: dict[str, Any] = {
    "event_timestamp": datetime(2024, 5, 5, 23, tzinfo=UTC),
    "company": "Acme",
    "board": "jobs.example",
    "title": "Senior Data Engineer",
    "description": "Call 12 34",
    "employment_type": "full_time",
    "seniority": None,
    "category": math.nan,
    "salary_min": 10_000.0,
    "salary_max": 20_000.0,
    "currency": "PLN",
    "period": "month",
    "language": "en",
}


def compute(settings: Settings, *postings: dict[str, Any]) -> dict[str, list[Any]]:
    [view] = resolve(settings, open_feature_store(settings)).on_demand
    return view.compute({name: [posting[name] for posting in postings] for name in POSTING})


def test_values(built_home: Settings) -> None:
    got = {name: value for name, [value] in compute(built_home, POSTING).items()}
    assert got == {
        "posting_title_words": 3,
        "posting_title_chars": 20,
        "posting_description_chars": 10,
        "posting_digit_share": 0.4,
        "posting_has_company": 1,
        "posting_has_salary": 1,
        "posting_salary_log10_eur_month": pytest.approx(math.log10(15_000 / 4.57)),
        "posting_weekday": 6,
        "posting_employment_type": "full_time",
        "posting_seniority": "",
        "posting_category": "",
        "posting_language": "en",
        "posting_board": "jobs.example",
    }


@pytest.mark.parametrize(
    ("change", "monthly"),
    [
        ({"salary_max": None}, 10_000 / 4.57),
        ({"salary_min": math.nan}, 20_000 / 4.57),
        ({"currency": "EUR", "period": "year"}, 15_000 / 12),
        ({"currency": "EUR", "period": "hour", "salary_min": 20.0, "salary_max": 20.0}, 20 * 168),
        ({"currency": "EUR", "period": None}, 15_000),
    ],
)
def test_salaries_are_comparable(built_home: Settings, change: dict[str, Any], monthly: float) -> None:
    assert compute(built_home, POSTING | change)["posting_salary_log10_eur_month"] == [
        pytest.approx(math.log10(monthly))
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"salary_min": None, "salary_max": None, "currency": None},
        {"salary_min": 0.0, "salary_max": None},
        {"currency": "XAU"},
        {"period": "decade"},
    ],
)
def test_no_comparable_salary_is_none(built_home: Settings, change: dict[str, Any]) -> None:
    got = compute(built_home, POSTING | change)
    assert math.isnan(got["posting_salary_log10_eur_month"][0])
    assert got["posting_has_salary"] == [0]


def test_weekdays_are_of_utc(built_home: Settings) -> None:
    monday_in_warsaw = POSTING["event_timestamp"].astimezone(timezone(timedelta(hours=2)))
    assert monday_in_warsaw.weekday() == 0
    assert compute(built_home, POSTING | {"event_timestamp": monday_in_warsaw})["posting_weekday"] == [6]


def test_rows_do_not_touch_each_other(built_home: Settings) -> None:
    other = POSTING | {"title": "Cook", "salary_min": None, "salary_max": None, "company": None}
    together = compute(built_home, POSTING, other, POSTING)
    for position, posting in enumerate((POSTING, other, POSTING)):
        alone = compute(built_home, posting)
        for name, values in together.items():
            assert values[position] == pytest.approx(alone[name][0], nan_ok=True)


def test_specs_name_every_feature_once_with_its_kind(built_home: Settings) -> None:
    specs = {spec.name: spec for spec in feature_specs(built_home)}
    assert len(specs) == 30
    assert specs["company_top_label"].kind == "categorical"
    assert specs["company_top_label"].default == ""
    assert specs["company_postings_28d"].kind == "numeric"
    assert specs["posting_board"].kind == "categorical"
    assert specs["board_label_entropy"].default == 0.0
