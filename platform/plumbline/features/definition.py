"""A digest of what a feature service consists of: what was measured for one definition says nothing about another."""

from __future__ import annotations

import hashlib
import json

from plumbline.features.plan import ServicePlan
from plumbline.settings import Settings


def definition_of(settings: Settings, plan: ServicePlan) -> str:
    """SHA-256, hexadecimal, of the service's views: names, keys, times to live, features with their types, the source
    of request-time functions, and how far apart the views' rows are."""
    content = {
        "service": plan.service.name,
        "grid_hours": settings.features.grid_hours,
        "batch": [
            {
                "name": view.name,
                "key": view.key,
                "ttl_seconds": view.ttl.total_seconds(),
                "features": [[field.name, str(field.dtype)] for field in view.view.features],
                "served": view.features,
            }
            for view in plan.batch
        ],
        "on_demand": [
            {"name": view.name, "inputs": view.inputs, "features": view.features, "source": view.source}
            for view in plan.on_demand
        ],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
