"""Everything that the registry is to hold."""

from __future__ import annotations

from typing import Any

from feature_repo.batch_views import batch_views
from feature_repo.entities import BOARD, COMPANY
from feature_repo.on_demand import REQUEST, posting_request_features
from feature_repo.services import posting_classifier_v1
from plumbline.settings import Settings


def definitions(settings: Settings) -> list[Any]:
    """Feast objects of this repository: entities, views, sources and services."""
    views = batch_views(settings)
    return [COMPANY, BOARD, REQUEST, *views, posting_request_features, posting_classifier_v1(views)]


def apply(settings: Settings) -> dict[str, int]:
    """Writes the definitions to the registry and prepares the online store. Doing it twice changes nothing.

    Returns:
        How many objects of each kind the registry was given.
    """
    from plumbline.features.store import apply_definitions

    return apply_definitions(settings, definitions(settings))
