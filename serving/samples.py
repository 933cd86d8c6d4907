"""Postings for warm-up and readiness: made up, of several lengths, with and without the optional fields."""

from __future__ import annotations

from datetime import UTC, datetime

from plumbline.data.contract import PostingRequest

_SENTENCE = (
    "We are looking for a person who plans the work of a small team, talks to customers, keeps the records in "
    "order and learns new tools quickly; experience in a similar position and a driving licence are an asset. "
)


def sample_postings(at: datetime) -> list[PostingRequest]:
    """Three postings, short, middling and long, published at `at`."""
    return [
        PostingRequest(
            posting_id=f"readiness-{length}",
            event_timestamp=at.astimezone(UTC),
            company=company,
            board="readiness",
            title=title,
            description=_SENTENCE * length,
            salary_min=minimum,
            currency=currency,
            period="month" if minimum is not None else None,
        )
        for length, title, company, minimum, currency in (
            (1, "Warehouse worker", None, None, None),
            (6, "Office administrator (m/f)", "Example Trading", 4000.0, "PLN"),
            (40, "Senior software engineer, data platform", "Example Systems", 9000.0, "EUR"),
        )
    ]
