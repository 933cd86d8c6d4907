"""Ports of Ray's agents, chosen before they start.

Ray's raylet starts two agents, which are Python programs, and waits for each to write the port that it got into a file:
for 15 seconds, which no setting changes (Ray 2.60), and then it aborts. On a busy machine their imports alone take
longer. A raylet that is told the ports beforehand waits for nothing, and starts sooner on an idle machine, too.
`ray.init` has no parameters for them, and Ray's own start of a node does not hand the last one on to the raylet.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def chosen_agent_ports(host: str) -> Iterator[None]:
    """Gives the agents of a Ray that is started inside the block free ports of `host`.

    A port that another process takes between its choice and its use makes the start fail; a further try chooses others.
    """
    from ray._private import services

    grpc, metrics, listen, environment = _free_ports(host, 4)
    start_raylet, start_process = services.start_raylet, services.start_ray_process

    def raylet(*arguments: Any, **named: Any) -> Any:
        ports = {
            "metrics_agent_port": grpc,
            "metrics_export_port": metrics,
            "dashboard_agent_listen_port": listen,
            "runtime_env_agent_port": environment,
        }
        return start_raylet(*arguments, **{**named, **ports})

    def process(command: list[str], *arguments: Any, **named: Any) -> Any:
        if command[0] == services.RAYLET_EXECUTABLE:
            command = [*command, f"--dashboard_agent_listen_port={listen}"]
        return start_process(command, *arguments, **named)

    services.start_raylet, services.start_ray_process = raylet, process
    try:
        yield
    finally:
        services.start_raylet, services.start_ray_process = start_raylet, start_process


def _free_ports(host: str, number: int) -> list[int]:
    """Free ports, all different: each is held until the last is chosen."""
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(number)]
        for probe in probes:
            probe.bind((host, 0))
        return [int(probe.getsockname()[1]) for probe in probes]
