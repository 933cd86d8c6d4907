"""The Ray Serve deployments. Ray places a replica, watches it, and starts a new one in its place; it is not on the
path of a request, except on a Ray cluster, whose own proxies stand in front."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from typing import Any, cast

from ray import serve
from ray.serve import Application, Deployment
from ray.serve.schema import LoggingConfig
from starlette.types import ASGIApp

from plumbline.settings import Settings, load_settings
from serving.loop_thread import LoopThread
from serving.prediction_log.shipper import Shipper
from serving.replica import Replica, build_replica
from serving.telemetry.logs import configure

APPLICATION = "postings"
_NAME = "posting-service"
_HEALTH_PERIOD_SECONDS = 2.0
_HEALTH_TIMEOUT_SECONDS = 10.0
"""Three failures in a row make Ray replace a replica."""

_CLOSING_SECONDS = 5.0
"""What closing takes after requests were drained: the log forced to the disk, threads ended."""


async def _built(settings: Settings) -> Replica:
    # In a thread: loading takes seconds, and Ray's health checks share the event loop with us.
    replica = await asyncio.to_thread(build_replica, settings)
    gc.collect()
    gc.freeze()  # what was loaded stays for good: the collector need not look at it again and again
    return replica


class ListeningReplica:
    """A replica that listens itself, on an event loop of its own in a thread of the process that Ray gives it.

    Args:
        settings: The installation's settings.
        relay: Socket of the command's process, which prints the replica's log.
    """

    async def __init__(self, settings: Settings, relay: Path) -> None:  # type: ignore[misc]  # Ray awaits it
        configure(settings.serving.telemetry, relay)
        self._replica = await _built(settings)
        self._loop = LoopThread("endpoint")
        await self._loop.run(self._replica.listen())

    async def check_health(self) -> None:
        """Called by Ray Serve.

        Raises:
            RuntimeError: Only a new replica can help.
            TimeoutError: The event loop hangs.
        """
        if not self._loop.alive:
            raise RuntimeError("the endpoint's event loop has ended")
        reason = await self._loop.run(self._replica.dead_because(), within=_HEALTH_TIMEOUT_SECONDS / 2)
        if reason is not None:
            raise RuntimeError(reason)

    async def __del__(self) -> None:
        """Called by Ray Serve when the replica is to go."""
        if hasattr(self, "_loop"):
            await self._loop.run(self._replica.close())
            self._loop.close()


@serve.ingress()
class IngressReplica:
    """A replica that Ray's proxies bring requests to. It ships its prediction log itself.

    Args:
        settings: The installation's settings.
    """

    async def __init__(self, settings: Settings) -> None:  # type: ignore[misc]  # Ray awaits it
        configure(settings.serving.telemetry, None)
        self._shipper = Shipper(settings)
        self._replica = await _built(settings)

    def __serve_build_asgi_app__(self) -> ASGIApp:
        """Called by Ray Serve once the replica is built."""
        return self._replica.app

    async def check_health(self) -> None:
        """Called by Ray Serve.

        Raises:
            RuntimeError: Only a new replica can help.
        """
        reason = await self._replica.dead_because()
        if reason is not None:
            raise RuntimeError(reason)

    async def __del__(self) -> None:
        """Called by Ray Serve once requests are drained."""
        if hasattr(self, "_replica"):
            await self._replica.close()
            await asyncio.to_thread(self._shipper.close)


def quiet_logs() -> LoggingConfig:
    """No line per request: the prediction log has them."""
    return LoggingConfig(enable_access_log=False, log_level="WARNING")


def application(settings: Settings, relay: Path) -> Application:
    """The application of `serve run`: one replica, which listens itself on the endpoint's ports.

    Args:
        settings: The installation's settings.
        relay: Socket of the command's process, which prints the replica's log.
    """
    return _deployment(ListeningReplica, settings).options(num_replicas=1).bind(settings, relay)


def build(arguments: dict[str, Any]) -> Application:
    """The application of a Ray cluster, by its import path `serving.deployment:build`.

    The settings are those of the node that calls it (PLUMBLINE_CONFIG), and reach the replicas with it; `arguments`
    in the Serve configuration change single groups of them, as in `{"serving": {"replicas": 2}}`.

    Raises:
        SettingsError: A setting is unknown or has a wrong value.
    """
    settings = load_settings(**arguments)
    return _scaled(_deployment(IngressReplica, settings), settings).bind(settings)


def _deployment(replica: type, settings: Settings) -> Deployment:
    serving = settings.serving
    # Ray's types take a decorated class for the decorator's arguments.
    return cast("Deployment", serve.deployment(replica)).options(
        name=_NAME,
        # Admission is the endpoint's own; Ray's limits only bound what may pile up before it.
        max_ongoing_requests=serving.max_waiting + serving.max_batch_size,
        graceful_shutdown_timeout_s=serving.drain_seconds + _CLOSING_SECONDS,
        graceful_shutdown_wait_loop_s=0.1,
        health_check_period_s=_HEALTH_PERIOD_SECONDS,
        health_check_timeout_s=_HEALTH_TIMEOUT_SECONDS,
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
