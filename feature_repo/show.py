"""What the feature store holds, as rows for a reader."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plumbline.settings import Settings


def describe_views(settings: Settings) -> list[Mapping[str, Any]]:
    """One row per view of the service.

    Returns:
        Name, entity key, TTL in days, number of features, rows built and until when, and how far the online store was
        brought; None for what has not been done yet, and for request-time views, which have no rows.

    Raises:
        MissingInputError: The definitions have not been applied.
    """
    from plumbline.errors import MissingInputError
    from plumbline.features.materialize import view_materialized_until
    from plumbline.features.plan import resolve
    from plumbline.features.store import open_feature_store
    from plumbline.features.views import built_views

    store = open_feature_store(settings)
    plan = resolve(settings, store)
    try:
        built = built_views(settings)
    except MissingInputError:
        built = None
    rows: list[Mapping[str, Any]] = []
    for view in plan.batch:
        online = view_materialized_until(store, view.name)
        rows.append(
            {
                "view": view.name,
                "key": view.key,
                "ttl_days": view.ttl.total_seconds() / 86_400,
                "features": len(view.features),
                "rows": built.rows.get(view.name) if built else None,
                "built_until": built.until.isoformat() if built else None,
                "online_until": online.isoformat() if online else None,
            }
        )
    rows += [
        {
            "view": view.name,
            "key": None,
            "ttl_days": None,
            "features": len(view.features),
            "rows": None,
            "built_until": None,
            "online_until": None,
        }
        for view in plan.on_demand
    ]
    return rows
