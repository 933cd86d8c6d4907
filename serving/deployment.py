"""The Ray Serve deployment: one deployment, one hop, everything that a request needs in its process."""

from __future__ import annotations

import asyncio
from typing import cast

from fastapi import FastAPI
from ray import serve
from ray.serve import Application, Deployment
from ray.serve.schema import LoggingConfig

from plumbline.settings import Settings
from serving.app import build_app
from serving.replica import build_replica

APPLICATION = "postings"


@serve.ingress()
class PostingService:
    """One replica under Ray Serve."""

    async def __init__(self, settings: Settings) -> None:  # type: ignore[misc]  # Ray Serve awaits it
        # In a thread: loading takes seconds, and Ray's health checks share the event loop with us.
        self._replica = await asyncio.to_thread(build_replica, settings)

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Called by Ray Serve once the replica is built."""
        return build_app(self._replica.endpoint)

    async def __del__(self) -> None:
        """Called by Ray Serve once requests are drained."""
        if hasattr(self, "_replica"):
            await self._replica.close()


def quiet_logs() -> LoggingConfig:
    """No line per request: the prediction log has them."""
    return LoggingConfig(enable_access_log=False, log_level="WARNING")


def application(settings: Settings) -> Application:
    """The application, for `serve.run` or a Serve configuration file."""
    # Ray's types take a decorated class for the decorator's arguments.
    deployment = cast("Deployment", serve.deployment(PostingService)).options(
        name="posting-service",
        num_replicas=1,
        # Admission is the endpoint's own; Ray's limits only bound what may pile up before it.
        max_ongoing_requests=settings.serving.max_waiting + settings.serving.max_batch_size,
        graceful_shutdown_timeout_s=settings.serving.drain_seconds,
        graceful_shutdown_wait_loop_s=0.1,
        # One core, so that Ray sets OMP_NUM_THREADS=1: a second thread per batch costs more than it gains.
        ray_actor_options={"num_cpus": 1},
        max_constructor_retry_count=1,
        logging_config=quiet_logs(),
    )
    return deployment.bind(settings)
