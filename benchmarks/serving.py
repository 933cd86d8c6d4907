"""Open-loop load on the real endpoint at several rates, with its memory at rest and its CPU per request.

Needs a home that holds a champion and a snapshot (after `plumbline demo`, for one):

    PLUMBLINE_HOME=build/home python benchmarks/serving.py --since 2026-03-01 --rates 100 463
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

import psutil

_MAIN = "from plumbline.cli.main import main; main()"
_REST_SECONDS = 10.0


def main() -> None:
    """Runs the benchmark and prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", type=float, nargs="+", default=[100.0, 200.0, 463.0], help="requests per second")
    parser.add_argument("--seconds", type=float, default=20.0, help="seconds per rate")
    parser.add_argument("--since", default=None, help="only postings since then; choose the instant served from")
    parser.add_argument("--snapshot", default="latest")
    parser.add_argument("--port", type=int, default=18_200)
    arguments = parser.parse_args()

    start = time.monotonic()
    server = subprocess.Popen(
        [sys.executable, "-c", _MAIN, "serve", "run", "--json", "--port", str(arguments.port)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        ready = _ready(server)
        result: dict[str, Any] = {
            "start_seconds": round(time.monotonic() - start, 1),
            "processors": len(os.sched_getaffinity(0)),
            "model_version": ready["version"],
        }
        time.sleep(_REST_SECONDS)
        result["memory_at_rest_mb"] = _memory(server.pid)
        result["runs"] = [_run(server.pid, ready["url"], rate, arguments) for rate in arguments.rates]
    finally:
        start = time.monotonic()
        server.send_signal(signal.SIGTERM)
        server.wait(60)
    result["stop_seconds"] = round(time.monotonic() - start, 1)
    print(json.dumps(result, indent=2))


def _ready(server: subprocess.Popen[str]) -> dict[str, Any]:
    assert server.stdout is not None
    text = ""
    for line in server.stdout:
        text += line
        if line == "}\n":
            ready: dict[str, Any] = json.loads(text)
            return ready
    raise SystemExit("the endpoint did not start")


def _run(server: int, url: str, rate: float, arguments: argparse.Namespace) -> dict[str, Any]:
    command = ["load", "run", "--url", url, "--rate", str(rate), "--duration", str(arguments.seconds)]
    command += ["--snapshot", arguments.snapshot, "--verify-log", "--json"]
    command += ["--since", arguments.since] if arguments.since else []
    before = _cpu_seconds(server)
    load = subprocess.run([sys.executable, "-c", _MAIN, *command], stdout=subprocess.PIPE, text=True, check=True)
    used = _cpu_seconds(server) - before
    result: dict[str, Any] = json.loads(load.stdout)
    answered = result["log"]["answered"]
    return {
        "rate": rate,
        **{name: result[name] for name in ("p50_ms", "p95_ms", "p99_ms", "p999_ms", "max_ms")},
        **{name: result[name] for name in ("answered", "errors", "degraded", "within_budget", "server_mean_ms")},
        "missing_from_log": result["log"]["missing"],
        "server_cpu_ms_per_request": round(1000 * used / answered, 3),
        "load_average": round(os.getloadavg()[0], 2),
    }


def _family(pid: int) -> list[psutil.Process]:
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def _cpu_seconds(pid: int) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in _family(pid))


def _memory(pid: int) -> dict[str, float]:
    """Proportional set size (shared pages are counted once) of all processes, and of the replica, MiB."""
    sizes = {process.name(): 0.0 for process in _family(pid)}
    for process in _family(pid):
        sizes[process.name()] += process.memory_full_info().pss / 2**20
    replica = sum(size for name, size in sizes.items() if "ServeReplica" in name)
    return {"all": round(sum(sizes.values())), "replica": round(replica), "processes": len(_family(pid))}


if __name__ == "__main__":
    main()
