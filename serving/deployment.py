"""The Ray Serve deployment: one deployment, one hop, everything that a request needs in its process."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from fastapi import FastAPI
from ray import serve
from ray.serve import Application, Deployment
from ray.serve.schema import LoggingConfig

from plumbline.settings import Settings, load_settings
from serving.http.app import build_app
from serving.prediction_log.shipper import Shipper
from serving.replica import build_replica

APPLICATION = "postings"


@serve.ingress()
class PostingService:
    """One replica under Ray Serve.

    Args:
        settings: The installation's settings.
        ships: Whether the replica ships its prediction log; `serve run` does it for its own.
    """

    async def __init__(self, settings: Settings, ships: bool = False) -> None:  # type: ignore[misc]  # Ray awaits it
        # In a thread: loading takes seconds, and Ray's health checks share the event loop with us.
        self._shipper = Shipper(settings) if ships else None
        self._replica = await asyncio.to_thread(build_replica, settings)

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Called by Ray Serve once the replica is built."""
        return build_app(self._replica.endpoint)

    async def __del__(self) -> None:
        """Called by Ray Serve once requests are drained."""
        if hasattr(self, "_replica"):
            await self._replica.close()
            if self._shipper is not None:
                await asyncio.to_thread(self._shipper.close)


def quiet_logs() -> LoggingConfig:
    """No line per request: the prediction log has them."""
    return LoggingConfig(enable_access_log=False, log_level="WARNING")


def application(settings: Settings) -> Application:
    """The application of `serve run`: one replica, which listens itself on the endpoint's one port."""
    return _deployment(settings).options(num_replicas=1).bind(settings)


def build(arguments: dict[str, Any]) -> Application:
    """The application of a Ray cluster, by its import path `serving.deployment:build`.

    The settings are those of the node that calls it (PLUMBLINE_CONFIG), and reach the replicas with it; `arguments`
    in the Serve configuration change single groups of them, as in `{"serving": {"replicas": 2}}`.

    Raises:
        SettingsError: A setting is unknown or has a wrong value.
    """
    settings = load_settings(**arguments)
    return _scaled(_deployment(settings), settings).bind(settings, ships=True)


def _deployment(settings: Settings) -> Deployment:
    serving = settings.serving
    # Ray's types take a decorated class for the decorator's arguments.
    return cast("Deployment", serve.deployment(PostingService)).options(
        name="posting-service",
        # Admission is the endpoint's own; Ray's limits only bound what may pile up before it.
        max_ongoing_requests=serving.max_waiting + serving.max_batch_size,
        graceful_shutdown_timeout_s=serving.drain_seconds,
        graceful_shutdown_wait_loop_s=0.1,
        # By default one core, so that Ray sets OMP_NUM_THREADS=1: a second thread per batch costs more than it gains.
        ray_actor_options={"num_cpus": serving.num_cpus, "num_gpus": serving.num_gpus},
        max_constructor_retry_count=1,
        logging_config=quiet_logs(),
    )


def _scaled(deployment: Deployment, settings: Settings) -> Deployment:
    serving = settings.serving
    if serving.max_replicas is None:
        return deployment.options(num_replicas=serving.replicas)
    return deployment.options(
        autoscaling_config={
            "min_replicas": serving.replicas,
            "max_replicas": max(serving.max_replicas, serving.replicas),
            "target_ongoing_requests": serving.target_ongoing_requests,
        }
    )
