"""A replica in this process, on a socket of its own: everything that a served one has, but Ray around it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any, Self, TypeVar

import httpx
from prometheus_client.parser import text_string_to_metric_families

from plumbline.settings import Settings
from plumbline.settings.serving_log import PredictionLogSettings
from serving.engine.features import FeatureReader
from serving.engine.served_model import ModelSource
from serving.loop_thread import LoopThread
from serving.prediction_log.shipper import Shipper
from serving.replica import Replica

_Result = TypeVar("_Result")


class RunningReplica:
    """Listens between enter and exit, and ships its log.

    Args:
        settings: With a port of its own; see `on_free_port`.
        models: The source of a registered model, by its name.
        features: Online features.
    """

    def __init__(self, settings: Settings, *, models: Callable[[str], ModelSource], features: FeatureReader) -> None:
        self.settings = settings
        self.url = f"http://127.0.0.1:{settings.serving.port}"
        self._models, self._features = models, features

    def __enter__(self) -> Self:
        self._shipper = Shipper(self.settings)
        self.replica = Replica(self.settings, models=self._models, features=self._features)
        self._loop = LoopThread("endpoint")
        self._run(self.replica.listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self.replica.close())
        self._loop.close()
        self._shipper.close()

    def metrics(self) -> dict[str, float]:
        """Values by name, with the labels' values behind it."""
        text = httpx.get(f"{self.url}/metrics", timeout=20).text
        return {
            ".".join([sample.name, *sample.labels.values()]): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def _run(self, coroutine: Coroutine[Any, Any, _Result]) -> _Result:
        return asyncio.run(self._loop.run(coroutine))


def on_free_port(settings: Settings, *, log: dict[str, Any] | None = None, **serving: Any) -> Settings:
    """Settings of a replica on a free port, with all the time that a slow machine needs."""
    usual = {
        "port": free_port(),
        "grpc_port": None,
        "latency_budget_ms": 10_000.0,
        "alias_poll_seconds": 0.1,
        "log": PredictionLogSettings(
            **{"segment_seconds": 0.3, "sync_seconds": 0.05, "ship_seconds": 0.1, "segment_bytes": 64 * 1024}
            | (log or {})
        ),
    }
    return settings.model_copy(update={"serving": settings.serving.model_copy(update=usual | serving)})


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
