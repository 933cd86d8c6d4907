"""Request-time features: computed from the posting itself, by this one function in training and in serving.

Two properties of Feast 0.67 shape it:

- The registry keeps the function's source and runs it by itself, wherever it is read: it must not use any name from
  outside its own body, not even of this module. In return, training and serving run the text that was applied,
  whatever version of this package is installed beside them.
- It works on columns (plain Python mode) and not on one row (singleton mode). A singleton function is called with
  whole columns offline and, online, with the first row of a batch only: no one function can serve both.
"""

from __future__ import annotations

from typing import Any

from feast import Field, RequestSource
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float64, Int64, String, UnixTimestamp

REQUEST = RequestSource(
    name="posting_request",
    description="Fields of the posting that is to be classified.",
    schema=[
        Field(name="event_timestamp", dtype=UnixTimestamp),
        Field(name="title", dtype=String),
        Field(name="description", dtype=String),
        Field(name="employment_type", dtype=String),
        Field(name="seniority", dtype=String),
        Field(name="category", dtype=String),
        Field(name="salary_min", dtype=Float64),
        Field(name="salary_max", dtype=Float64),
        Field(name="currency", dtype=String),
        Field(name="period", dtype=String),
        Field(name="language", dtype=String),
    ],
)


@on_demand_feature_view(  # type: ignore[untyped-decorator]
    name="posting_request_features",
    sources=[REQUEST],
    mode="python",
    description="What the posting itself says, as numbers and categories.",
    schema=[
        Field(name="posting_title_words", dtype=Int64),
        Field(name="posting_title_chars", dtype=Int64),
        Field(name="posting_description_chars", dtype=Int64),
        Field(name="posting_digit_share", dtype=Float64),
        Field(name="posting_has_company", dtype=Int64),
        Field(name="posting_has_salary", dtype=Int64),
        Field(name="posting_salary_log10_eur_month", dtype=Float64),
        Field(name="posting_weekday", dtype=Int64),
        Field(name="posting_employment_type", dtype=String),
        Field(name="posting_seniority", dtype=String),
        Field(name="posting_category", dtype=String),
        Field(name="posting_language", dtype=String),
        Field(name="posting_board", dtype=String),
    ],
)
def posting_request_features(columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Computes the request-time features of n postings.

    Args:
        columns: The request's fields, each a list of n values; None or NaN where the posting says nothing. Feast adds
            the entities' keys, company and board, except in the sample that it infers types from; they must not be
            declared as request fields, or it no longer takes them for keys.

    Returns:
        One list of n values per feature. A salary is the middle of its range, per month, in euros, as log10; NaN
        where none is stated. Weekdays count from Monday, 0, in UTC. Text that is not stated is "".
    """
    import datetime
    import math

    # Units of a currency per euro: yearly averages of 2021 (European Central Bank, euro foreign exchange reference
    # rates), rounded to three digits. They make salaries comparable in order of magnitude, which is all that a
    # logarithm needs; they are fixed, so that training and serving agree for ever. A salary in another currency
    # counts as not stated.
    per_euro = {
        "EUR": 1.0, "USD": 1.18, "GBP": 0.860, "PLN": 4.57, "CHF": 1.08, "SEK": 10.1, "NOK": 10.2, "DKK": 7.44,
        "CZK": 25.6, "HUF": 359.0, "RON": 4.92, "CAD": 1.48, "AUD": 1.57, "INR": 87.4, "JPY": 130.0, "CNY": 7.63,
        "BRL": 6.38,
    }  # fmt: skip
    # A month of 21 working days of 8 hours, a year of 52 weeks; a salary without a period is taken for a monthly one.
    per_month = {"hour": 168.0, "day": 21.0, "week": 52.0 / 12.0, "month": 1.0, "year": 1.0 / 12.0, "": 1.0}

    nothing = [None] * len(columns["title"])

    def text(name: str) -> list[str]:
        return [value if isinstance(value, str) else "" for value in columns.get(name, nothing)]

    titles, descriptions = text("title"), text("description")
    salaries = []
    ranges = zip(columns["salary_min"], columns["salary_max"], text("currency"), text("period"), strict=True)
    for low, high, currency, period in ranges:
        stated = [end for end in (low, high) if end is not None and end > 0.0]
        monthly = 0.0
        if stated and currency in per_euro and period in per_month:
            monthly = sum(stated) / len(stated) / per_euro[currency] * per_month[period]
        # NaN and not None: Feast infers the feature's type from a sample that states no salary.
        salaries.append(math.log10(monthly) if monthly > 0.0 else math.nan)
    return {
        "posting_title_words": [len(title.split()) for title in titles],
        "posting_title_chars": [len(title) for title in titles],
        "posting_description_chars": [len(description) for description in descriptions],
        "posting_digit_share": [
            sum(map(description.count, "0123456789")) / len(description) if description else 0.0
            for description in descriptions
        ],
        "posting_has_company": [int(bool(company)) for company in text("company")],
        "posting_has_salary": [int(not math.isnan(salary)) for salary in salaries],
        "posting_salary_log10_eur_month": salaries,
        "posting_weekday": [time.astimezone(datetime.UTC).weekday() for time in columns["event_timestamp"]],
        "posting_employment_type": text("employment_type"),
        "posting_seniority": text("seniority"),
        "posting_category": text("category"),
        "posting_language": text("language"),
        "posting_board": text("board"),
    }
