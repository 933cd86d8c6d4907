"""Batch views: what was known of a company and a board at a time. `aggregates` computes their rows."""

from __future__ import annotations

from datetime import timedelta

from feast import Entity, FeatureView, Field, FileSource
from feast.types import FeastType, Float64, Int64, String

from feature_repo.entities import BOARD, COMPANY
from plumbline.features.views import view_file
from plumbline.settings import Settings

_COMPANY_ACTIVITY: dict[str, tuple[FeastType, str]] = {
    "company_postings_7d": (Int64, "Postings in the 7 days before the row's time."),
    "company_postings_28d": (Int64, "Postings in the 28 days before the row's time."),
    "company_titles_28d": (Int64, "Different titles among them, ignoring case."),
    "company_boards_28d": (Int64, "Different boards among them."),
    "company_days_since_first": (Float64, "Days since the company's first posting."),
}

_BOARD_ACTIVITY: dict[str, tuple[FeastType, str]] = {
    "board_postings_7d": (Int64, "Postings in the 7 days before the row's time."),
    "board_postings_28d": (Int64, "Postings in the 28 days before the row's time."),
    "board_companies_28d": (Int64, "Different named companies among them."),
    "board_salary_share_28d": (Float64, "Share of them that state a salary."),
}


def batch_views(settings: Settings) -> list[FeatureView]:
    """The four batch views. Their files are named and not located: each machine has its own folder of them."""
    activity = timedelta(days=settings.features.activity_ttl_days)
    labels = timedelta(days=settings.features.label_ttl_days)
    return [
        _view(settings, "company_activity", COMPANY, activity, _COMPANY_ACTIVITY, "Posting counts of a company."),
        _view(settings, "board_activity", BOARD, activity, _BOARD_ACTIVITY, "Posting counts of a board."),
        _view(settings, "company_labels", COMPANY, labels, _labels("company"), "Labels of a company's postings."),
        _view(settings, "board_labels", BOARD, labels, _labels("board"), "Labels of a board's postings."),
    ]


def _labels(entity: str) -> dict[str, tuple[FeastType, str]]:
    return {
        f"{entity}_labelled_56d": (Int64, "Labels that arrived in the 56 days up to the row's time."),
        f"{entity}_top_label": (String, "Most frequent of them; of equals, the first by code."),
        f"{entity}_top_label_share": (Float64, "Its share of them."),
        f"{entity}_label_entropy": (Float64, "Shannon entropy of their distribution, nats."),
    }


def _view(
    settings: Settings,
    name: str,
    entity: Entity,
    ttl: timedelta,
    features: dict[str, tuple[FeastType, str]],
    description: str,
) -> FeatureView:
    key = Field(name=entity.join_key, dtype=String)
    columns = [Field(name=column, dtype=dtype, description=text) for column, (dtype, text) in features.items()]
    return FeatureView(
        name=name,
        entities=[entity],
        ttl=ttl,
        schema=[key, *columns],
        source=FileSource(name=f"{name}_rows", path=view_file(settings, name).name, timestamp_field="event_timestamp"),
        online=True,
        description=description,
    )
