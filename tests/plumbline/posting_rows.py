"""Postings for tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from plumbline.data.frames import from_records

START = datetime(2026, 1, 5, tzinfo=UTC)


def posting(number: int = 0, **changed: Any) -> dict[str, Any]:
    """A posting that keeps the contract; one a day."""
    event = START + timedelta(days=number)
    return {
        "posting_id": f"p{number:04d}",
        "event_timestamp": event,
        "company": "Alder Ltd",
        "board": "workfinder.example",
        "title": "Electrician",
        "description": "Lays cables and finds faults.",
        "location": "Łódź",
        "employment_type": "full_time",
        "seniority": "mid",
        "category": "Construction",
        "salary_min": 4000.0,
        "salary_max": 5000.0,
        "currency": "PLN",
        "period": "month",
        "language": "en",
        "label": "7",
        "label_timestamp": event + timedelta(days=7),
    } | changed


def postings(count: int, **changed: Any) -> pd.DataFrame:
    """A frame of postings, one a day."""
    return from_records(posting(number, **changed) for number in range(count))
