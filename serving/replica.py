"""Puts one replica together from the settings: engine, front ends, prediction log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import grpc

from plumbline.settings import Settings
from serving.access.guard import Guard
from serving.engine.assembly import assemble, served_models
from serving.engine.features import FeatureReader
from serving.engine.served_model import ModelSource
from serving.http.app import build_app
from serving.http.drain import Drain
from serving.http.front import Front
from serving.http.gate import Gate
from serving.http.listener import HttpListener
from serving.http.routes import HotRoutes
from serving.http.shedding import Shedder
from serving.oip import grpc_server
from serving.oip.rest import OpenInferenceRest
from serving.prediction_log.collector import LogCollector
from serving.prediction_log.log import open_log
from serving.release.replica import ReleaseStates, ReplicaReleases, open_state
from serving.telemetry.metrics import Metrics
from serving.telemetry.tracing import Tracing

_HANGING_SECONDS = 30.0
"""No batch takes so long: what computes it hangs."""


class Replica:
    """Everything that one replica holds, built in order and closed in reverse. Building it takes seconds.

    Args:
        settings: The installation's settings.
        models: The source of a registered model, by its name.
        features: Online features.
        releases: What the registry knows of a model's releases, by its name; None: it takes part in none.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        models: Callable[[str], ModelSource],
        features: FeatureReader,
        releases: ReleaseStates | None = None,
    ) -> None:
        serving = settings.serving
        self._settings = serving
        guard = Guard(serving)
        self._tracing = Tracing(serving.telemetry)
        models_served = served_models(settings)
        metrics = Metrics({name: model.latency_budget_ms / 1000 for name, model in models_served.items()})
        self._log = open_log(settings)
        metrics.register(LogCollector(self._log))
        self._engine = assemble(settings, models=models, features=features, log=self._log, metrics=metrics)
        self._releases = ReplicaReleases(settings, self._engine, models, releases, metrics)
        self.front = Front(serving, self._engine, guard, metrics, Drain(serving.drain_file), self._tracing)
        self._routes = HotRoutes(self.front)
        self.app = build_app(self.front, self._routes, {"/v2": OpenInferenceRest(self.front)})
        self._http: HttpListener | None = None
        self._grpc: grpc.aio.Server | None = None

    async def listen(self) -> None:
        """Listens for HTTP and gRPC, on the running event loop, once this returns.

        Raises:
            PortBusyError: A port stays taken.
        """
        gate = Gate(self._settings.http, Shedder(self.front, self._routes.by_path), self.front.drain)
        self._http = HttpListener(self.app, gate, drain_seconds=self._settings.drain_seconds)
        await self._http.start(self._settings.host, self._settings.port)
        self._grpc = await grpc_server.start(self.front)

    async def dead_because(self) -> str | None:
        """Why this replica cannot answer and never will again, so that only a new one helps; None if it can."""
        busy = self._engine.busy_seconds
        if busy > _HANGING_SECONDS:
            return f"a batch has been computed for {busy:.0f} s"
        return None if self._http is None else self._http.dead_because()

    async def close(self) -> None:
        """Answers what is under way, forces the log to the disk, stops the threads."""
        await asyncio.gather(
            *([] if self._grpc is None else [self._grpc.stop(self._settings.drain_seconds)]),
            *([] if self._http is None else [self._http.stop()]),
        )
        await self._releases.stop()
        await self._engine.close()
        self.front.guard.close()
        self._tracing.close()
        self._log.close()


def build_replica(settings: Settings) -> Replica:
    """A replica on the registry's models and the feature store's features.

    Raises:
        MissingInputError: Features are not applied, or a model's files are gone.
        IntegrityError: A model's files are not what was registered.
    """
    from plumbline.features.online import OnlineFeatureReader
    from serving.engine.registry_source import RegistryModels

    return Replica(
        settings,
        models=lambda name: RegistryModels(settings, name),
        features=OnlineFeatureReader(settings, keep_seconds=settings.serving.features_cache_seconds),
        releases=lambda name: open_state(settings, name),
    )
