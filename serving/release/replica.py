"""Every lane's releases, for the replica that holds the lanes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from plumbline.registry.models import ModelRegistry
from plumbline.registry.releases import Releases
from plumbline.settings import Settings
from serving.engine.engine import Engine
from serving.engine.served_model import ModelSource
from serving.release.collector import ReleaseCollector
from serving.release.manager import ReleaseManager, ReleaseState
from serving.telemetry.metrics import Metrics

ReleaseStates = Callable[[str], ReleaseState]
"""What the registry knows of a registered model's releases, by the model's name."""


class ReplicaReleases:
    """Takes part in the releases of every served model, from now until `stop`.

    Args:
        settings: The installation's settings.
        engine: Its lanes get canaries and shadows.
        models: Where versions are loaded from, by name of the registered model.
        states: What the registry knows; None: there is no registry, and so no release.
        metrics: Gets the releases' figures.
    """

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        models: Callable[[str], ModelSource],
        states: ReleaseStates | None,
        metrics: Metrics,
    ) -> None:
        self._managers: dict[str, ReleaseManager] = {}
        if states is not None:
            for name, lane in engine.lanes.items():
                self._managers[name] = ReleaseManager(settings, lane, states(name), models(name))
        metrics.register(ReleaseCollector(self._managers))
        for manager in self._managers.values():
            manager.start()

    async def stop(self) -> None:
        """Stops the threads; takes seconds where the registry does not answer."""
        for manager in self._managers.values():
            await asyncio.to_thread(manager.stop)


def open_state(settings: Settings, model: str) -> Releases:
    """The releases of a registered model."""
    of_model = settings.model_copy(update={"tracking": settings.tracking.model_copy(update={"model_name": model})})
    return Releases(of_model, ModelRegistry(of_model))
