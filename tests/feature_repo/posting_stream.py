"""A small stream of postings: companies that come, go and fall silent, labels that arrive late."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd

from plumbline.data.contract import POSTING_COLUMNS

START = datetime(2024, 1, 1, tzinfo=UTC)


def make_postings(rows: int = 3_000, *, weeks: int = 20, companies: int = 150, seed: int = 0) -> pd.DataFrame:
    """Synthetic postings in time order, seeded."""
    random = np.random.default_rng(seed)
    seconds = np.sort(random.integers(0, weeks * 7 * 86_400, rows))
    # Some times fall on the grid exactly, where "before" and "at" part ways.
    seconds[::17] -= seconds[::17] % 86_400
    times = pd.to_datetime([START] * rows).as_unit("us") + pd.to_timedelta(seconds, unit="s").as_unit("us")
    first = random.integers(0, weeks * 7, companies)
    last = first + random.integers(5, 70, companies)
    day = seconds // 86_400
    company: list[str | None] = []
    for at in day:
        alive = np.flatnonzero((first <= at) & (at <= last))
        company.append(f"company {random.choice(alive)}" if alive.size and random.random() > 0.07 else None)
    label = [f"{code}" for code in random.choice([21, 24, 52, 83], rows, p=[0.4, 0.3, 0.2, 0.1])]
    delay = pd.to_timedelta(random.integers(0, 15 * 86_400, rows), unit="s").as_unit("us")
    labelled = random.random(rows) < 0.8
    salary = np.where(random.random(rows) < 0.4, random.integers(3_000, 20_000, rows).astype(float), np.nan)
    frame = pd.DataFrame(
        {
            "posting_id": [f"p{n}" for n in range(rows)],
            "event_timestamp": times,
            "company": company,
            "board": [f"board{n}" for n in random.integers(0, 6, rows) + (day > weeks * 4)],
            "title": [f"Title {n}" if n % 2 else f"TITLE {n}" for n in random.integers(0, 40, rows)],
            "description": [f"Description {n} with 12 digits" for n in range(rows)],
            "location": "Gdańsk",
            "employment_type": random.choice(["full_time", None], rows),
            "seniority": random.choice(["junior", "senior", None], rows),
            "category": None,
            "salary_min": salary,
            "salary_max": salary * 1.5,
            "currency": np.where(np.isnan(salary), None, "PLN"),
            "period": np.where(np.isnan(salary), None, "month"),
            "language": "pl",
            "label": np.where(labelled, label, None),
            "label_timestamp": (times + delay).where(labelled),
        }
    )
    frame["category"] = frame["category"].astype(object)
    return frame[list(POSTING_COLUMNS)].sort_values("event_timestamp", kind="stable", ignore_index=True)
