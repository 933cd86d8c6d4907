"""An engine on stand-ins for model and features, with the real log, whose batches a test can hold up."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
from serving_standins import Features, Models, WordCountModel

from plumbline.data.contract import PostingRequest
from plumbline.settings import Settings
from plumbline.settings.serving_models import ServedModelSettings
from serving.engine.assembly import assemble, served_models
from serving.engine.engine import Engine
from serving.engine.lane import Lane
from serving.engine.query import Query
from serving.prediction_log import read
from serving.prediction_log.log import PredictionLog, open_log
from serving.telemetry.metrics import Metrics

_ids = itertools.count()


class HeldModel(WordCountModel):
    """A model whose forward pass waits until the test lets it go on."""

    def __init__(self, name: str = "", order: list[str] | None = None) -> None:
        super().__init__()
        self.name = name
        self.order = [] if order is None else order
        self.go_on = threading.Event()
        self.go_on.set()
        self.entered = threading.Event()
        self.titles: list[str] = []

    def encode(self, records: Sequence[Any]) -> np.ndarray:
        encoded = super().encode(records)
        self.titles += [record["title"] for record in records]
        return encoded

    def forward(self, batch: np.ndarray) -> np.ndarray:
        self.order.append(self.name)
        self.entered.set()
        assert self.go_on.wait(20), "the test never let the batch go on"
        return super().forward(batch)

    def hold(self) -> None:
        """From now on batches wait; what warming up has left is forgotten."""
        self.go_on.clear()
        self.entered.clear()
        self.forget()

    def forget(self) -> None:
        self.sizes.clear()
        self.titles.clear()
        self.order.clear()

    async def held(self) -> None:
        """Returns once a batch has come as far as the forward pass."""
        await asyncio.to_thread(self.entered.wait, 20)
        self.entered.clear()


@dataclass
class Running:
    """An engine and what it stands on."""

    engine: Engine
    model: HeldModel
    """Of the default model."""

    models: dict[str, Models]
    features: Features
    settings: Settings
    log: PredictionLog
    metrics: Metrics

    @property
    def lane(self) -> Lane:
        return self.engine.lane()

    def logged(self) -> pd.DataFrame:
        return read(self.settings)


@asynccontextmanager
async def running(
    settings: Settings, *, others: dict[str, HeldModel] | None = None, model: HeldModel | None = None, **changes: Any
) -> AsyncIterator[Running]:
    """Starts an engine with changed serving settings, and stops it."""
    # Models that are held up need a thread of their own; the loop would be held up with them.
    changes = {"alias_poll_seconds": 0.02, "latency_budget_ms": 20_000.0, "inline_batch_ms": 0.0} | changes
    if others:
        # Through validation, so that the names are those of real settings.
        changes["models"] = {name: ServedModelSettings(max_batch_size=4) for name in others}
    changed = settings.model_copy(update={"serving": settings.serving.model_copy(update=changes)})
    default = model or HeldModel()
    models = {settings.tracking.model_name: Models(default)} | {
        name: Models(other) for name, other in (others or {}).items()
    }
    features, log = Features(), open_log(changed)
    metrics = Metrics({name: served.latency_budget_ms / 1000 for name, served in served_models(changed).items()})
    engine = assemble(changed, models=models.__getitem__, features=features, log=log, metrics=metrics)
    for source in models.values():
        assert isinstance(source.model, HeldModel)
        source.model.forget()
    try:
        yield Running(engine, default, models, features, changed, log, metrics)
    finally:
        features.go_on.set()
        for source in models.values():
            assert isinstance(source.model, HeldModel)
            source.model.go_on.set()
        await engine.close()
        log.close()


def query(title: str = "Cook", *, seconds: float = 20.0, board: str = "board", request_id: str | None = None) -> Query:
    """A query with its own request id."""
    now = time.monotonic()
    posting = PostingRequest(
        posting_id="p-1",
        event_timestamp=datetime(2026, 1, 5, tzinfo=UTC),
        board=board,
        title=title,
        description="Cooks what the guests of a small restaurant order",
    )
    return Query(posting, request_id or f"r{next(_ids)}", now, now + seconds)


def queries(count: int, title: str = "Cook") -> list[Query]:
    """The queries of a batch request."""
    return [query(title) for _ in range(count)]


def run(body: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs a test's coroutine."""
    asyncio.run(asyncio.wait_for(body(), 60))


async def until(true: Callable[[], bool]) -> None:
    """Waits for something that takes a moment."""
    while not true():
        await asyncio.sleep(0.005)
