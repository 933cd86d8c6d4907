"""How long nobody answers after a replica was killed, and what it weighs at rest.

    python -m benchmarks.restart [--home build/home] [--kills 3] [--json]

`plumbline serve run` with its default settings; the replica's process gets SIGKILL, and a client asks every 50 ms until
it is answered. Also: processes, memory (PSS) and CPU at rest, seconds to start and to stop.
"""

from __future__ import annotations

import argparse
import http.client
import time
from collections.abc import Mapping
from typing import Any

import psutil

from benchmarks.serving import command
from benchmarks.serving.command import say
from benchmarks.serving.home import bodies, open_home, serving_home
from benchmarks.serving.machine import machine
from benchmarks.serving.running import ServingProcess, cpu_seconds, serving
from benchmarks.serving.systems import OURS, Place, select_systems
from plumbline.errors import PlumblineError

_REPLICA = "ray::ServeReplica"
_REST_SECONDS = 10.0
_PATIENCE_SECONDS = 180.0
_PAUSE_SECONDS = 0.05


def main() -> None:
    """Runs the benchmark."""
    parser = command.options(__doc__, port=28_100)
    parser.add_argument("--kills", type=int, default=3)
    command.report("restart", parser.parse_args(), run, _summary)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The whole result.

    Raises:
        PlumblineError: There is no champion, the endpoint does not start, or a replica is not replaced.
    """
    (system,) = select_systems([OURS])
    served = open_home(options.home)
    work = (options.out / "restart-work").absolute()
    home = serving_home(served.settings.home, work / "home")
    body = bodies(served, 1)[0]
    place = Place(options.port, served.model, served.mlflow_model, home, work)
    with serving(system, place, body) as running:
        for _ in range(100):
            running.ask(body)
        say("at rest ...")
        rest = _rest(running)
        gaps = []
        for number in range(options.kills):
            say(f"kill {number + 1} of {options.kills} ...")
            gaps.append(round(_gap(running, body), 1))
            time.sleep(3.0)
        stopping = time.monotonic()
    return {
        "machine": machine(),
        "start_seconds": round(running.start_seconds, 1),
        "stop_seconds": round(time.monotonic() - stopping, 1),
        **rest,
        "seconds_without_answers": gaps,
    }


def _rest(running: ServingProcess) -> dict[str, Any]:
    processes = running.processes()
    before = cpu_seconds(processes)
    time.sleep(_REST_SECONDS)
    used = sum(cpu - before[pid][1] for pid, (_, cpu) in cpu_seconds(processes).items() if pid in before)
    return {
        "processes": len(processes),
        "memory_mb": round(running.memory_mb()),
        "cpu_cores_at_rest": round(used / _REST_SECONDS, 3),
    }


def _gap(running: ServingProcess, body: bytes) -> float:
    replicas = [process for process in running.processes() if process.name().startswith(_REPLICA)]
    if not replicas:
        raise PlumblineError(f"No process is named {_REPLICA}: has Ray changed its names? Look with ps.")
    for process in replicas:
        process.kill()
    psutil.wait_procs(replicas)
    killed = time.monotonic()
    while time.monotonic() - killed < _PATIENCE_SECONDS:
        try:
            status, _ = running.ask(body)
        except (OSError, http.client.HTTPException):
            status = 0
        if status == http.client.OK:
            return time.monotonic() - killed
        time.sleep(_PAUSE_SECONDS)
    raise PlumblineError(
        f"The replica was not replaced within {_PATIENCE_SECONDS:.0f} s; the log in --out/restart-work says more."
    )


def _summary(result: Mapping[str, Any]) -> str:
    gaps = result["seconds_without_answers"]
    return (
        f"start {result['start_seconds']} s, stop {result['stop_seconds']} s; at rest {result['processes']} processes, "
        f"{result['memory_mb']:,} MB, {result['cpu_cores_at_rest']} of a core; without answers after a kill: "
        f"{', '.join(map(str, gaps))} s"
    )


if __name__ == "__main__":
    main()
