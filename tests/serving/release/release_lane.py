"""A real lane and a real registry, with models that can be made to err or to be slow after they were loaded."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from serving_standins import Features, Models, WordCountModel

from plumbline.data.contract import PostingRequest
from plumbline.registry.models import ModelRegistry
from plumbline.registry.releases import Releases
from plumbline.settings import Settings
from serving.engine.assembly import assemble, served_models
from serving.engine.lane import Lane
from serving.engine.query import Answer, Query
from serving.engine.served_model import ServedModel, now
from serving.errors import RequestRefusedError
from serving.prediction_log import open_log
from serving.release.manager import ReleaseManager
from serving.telemetry.metrics import Metrics

REGISTRY_WAIT = 20.0


class FlakyModel(WordCountModel):
    """Good when it is loaded; what comes then is up to the test."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = False

    def encode(self, records: Sequence[Mapping[str, Any]]) -> np.ndarray:
        if self.broken:
            raise RuntimeError("this version has lost its mind")
        return super().encode(records)


class Versions(Models):
    """Two versions, each with a model of its own; only the champion is not as the registry says."""

    def __init__(self) -> None:
        super().__init__()
        self.by_version = {"1": FlakyModel(), "2": FlakyModel()}

    def load(self, version: str) -> ServedModel:
        self.loads.append(version)
        if version in self.broken:
            raise ValueError(f"version {version} is broken")
        return ServedModel("posting-classifier", "champion", version, "ab" * 32, self.by_version[version], now())


@dataclass
class Running:
    """A replica's lane that takes part in releases."""

    settings: Settings
    lane: Lane
    manager: ReleaseManager
    models: Versions
    releases: Releases
    registry: ModelRegistry

    async def ask(self, company: str = "Example", key: str = "") -> Answer:
        return await self.lane.answer(_query(self.lane, company, key))

    async def until(self, found: Callable[[], bool]) -> None:
        """Waits; the registry is asked on another thread."""
        deadline = time.monotonic() + REGISTRY_WAIT
        while not await asyncio.to_thread(found):
            assert time.monotonic() < deadline, "it did not happen in time"
            await asyncio.sleep(0.01)

    async def load(self, seconds: float, *, rate: float, clients: int = 400) -> list[Answer | RequestRefusedError]:
        """Open loop: queries leave when they are due, whether or not earlier ones were answered."""
        tasks: list[asyncio.Task[Answer]] = []
        started = time.monotonic()
        for number in range(round(seconds * rate)):
            await asyncio.sleep(max(0.0, started + number / rate - time.monotonic()))
            query = _query(self.lane, f"company {number * 7919 % clients}", "")
            tasks.append(asyncio.create_task(self.lane.answer(query)))
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(each, Answer | RequestRefusedError) for each in found), found
        return found  # type: ignore[return-value]


@asynccontextmanager
async def running(settings: Settings, registry: ModelRegistry) -> AsyncIterator[Running]:
    """A lane on the registry's releases."""
    # Versions that hang need a thread of their own; the loop would hang with them.
    settings = settings.model_copy(update={"serving": settings.serving.model_copy(update={"inline_batch_ms": 0.0})})
    models, log = Versions(), open_log(settings)
    budgets = {name: model.latency_budget_ms / 1000 for name, model in served_models(settings).items()}
    engine = assemble(settings, models=lambda _: models, features=Features(), log=log, metrics=Metrics(budgets))
    releases = Releases(settings, registry)
    lane = engine.lane()
    manager = ReleaseManager(settings, lane, Releases(settings, registry), models)
    manager.start()
    try:
        yield Running(settings, lane, manager, models, releases, registry)
    finally:
        await asyncio.to_thread(manager.stop)
        await engine.close()
        log.close()


_numbers = itertools.count()


def _query(lane: Lane, company: str, key: str) -> Query:
    received, number = time.monotonic(), next(_numbers)
    posting = PostingRequest(
        posting_id=f"p-{number}",
        event_timestamp=datetime(2026, 1, 5, tzinfo=UTC),
        company=company,
        board="jobs.example",
        title="Warehouse worker",
        description="Loads and unloads lorries, keeps the warehouse tidy.",
    )
    return Query(posting, f"r-{number}", received, received + lane.budget_seconds, assignment_key=key)
