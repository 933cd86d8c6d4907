"""Starts the gRPC server on the running event loop."""

from __future__ import annotations

import asyncio
import time

import grpc

from plumbline.errors import PortBusyError
from plumbline.process.ports import require_free_port
from plumbline.settings.serving import ServingSettings
from serving.http.front import Front
from serving.oip.grpc_service import OpenInferenceGrpc

_PORT_SETTING = "PLUMBLINE_SERVING__GRPC_PORT"
_PORT_PATIENCE_SECONDS = 10.0
"""How long a port is waited for that a replica before this one, killed a moment ago, still holds."""

_MINUTE_MS = 60_000


def require_port(settings: ServingSettings) -> None:
    """Looks whether the port is free, before anything is started.

    Raises:
        PortBusyError: It is taken.
    """
    if settings.grpc_port:
        require_free_port(settings.host, settings.grpc_port, _PORT_SETTING)


async def start(front: Front) -> grpc.aio.Server | None:
    """A server that answers; None where `serving.grpc_port` turns it off.

    Stop it with `await server.stop(seconds)`: clients are told to go elsewhere at once, and calls under way have so
    many seconds to end.

    Raises:
        PortBusyError: The port stays taken.
    """
    settings = front.settings
    if not settings.grpc_port:
        return None
    await _wait_for_port(settings.host, settings.grpc_port)
    server = grpc.aio.server(maximum_concurrent_rpcs=settings.http.max_requests, options=_options(settings))
    server.add_generic_rpc_handlers((OpenInferenceGrpc(front).handler(),))
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    try:
        server.add_insecure_port(f"{host}:{settings.grpc_port}")
    except RuntimeError as error:
        raise PortBusyError(
            f"gRPC cannot listen on port {settings.grpc_port} of {settings.host}: {error}. Set {_PORT_SETTING}."
        ) from error
    await server.start()
    return server


async def _wait_for_port(host: str, port: int) -> None:
    deadline = time.monotonic() + _PORT_PATIENCE_SECONDS
    while True:
        try:
            require_free_port(host, port, _PORT_SETTING)
        except PortBusyError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)
        else:
            return


def _options(settings: ServingSettings) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", settings.max_batch_body_bytes),
        ("grpc.max_metadata_size", settings.http.max_header_bytes),
        # A second server on the port is an error, not a second half of the calls.
        ("grpc.so_reuseport", 0),
        # A client connects anew every ten minutes, so that replicas that came later get their share; what a call of a
        # client that sends a byte now and then holds is freed with its connection.
        ("grpc.max_connection_age_ms", 10 * _MINUTE_MS),
        ("grpc.max_connection_age_grace_ms", 2 * _MINUTE_MS),
        # Connections whose other end is gone without a word.
        ("grpc.keepalive_time_ms", _MINUTE_MS),
        ("grpc.keepalive_timeout_ms", _MINUTE_MS // 3),
    ]
