"""Replicas on stand-ins, behind an HTTP client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from serving_standins import Features, Models, Serve, Served, WordCountModel
from starlette.testclient import TestClient

from plumbline.settings import Settings
from serving.replica import Replica


@pytest.fixture
def serve(settings: Settings) -> Iterator[Serve]:
    """Starts replicas with changed serving settings; stops them at the end."""
    running: list[Served] = []

    def start(model: WordCountModel | None = None, **changes: Any) -> Served:
        changed = settings.model_copy(
            update={
                "serving": settings.serving.model_copy(
                    update={"alias_poll_seconds": 0.02, "inline_batch_ms": 0.0, **changes}
                )
            }
        )
        models, features = Models(model), Features()
        replica = Replica(changed, models=lambda _: models, features=features)
        client = TestClient(replica.app)
        client.__enter__()
        running.append(Served(client, replica, models, features, changed))
        return running[-1]

    yield start
    for served in running:
        served.features.go_on.set()
        assert served.client.portal is not None
        served.client.portal.call(served.replica.close)
        served.client.__exit__(None, None, None)


@pytest.fixture
def posting() -> dict[str, Any]:
    """A valid request."""
    return {
        "posting_id": "p-1",
        "event_timestamp": "2026-01-05T08:00:00Z",
        "company": "Example",
        "board": "jobs.example",
        "title": "Warehouse worker",
        "description": "Loads and unloads lorries, keeps the warehouse tidy.",
    }
