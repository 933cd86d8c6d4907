"""What clients see of a new champion: failures, late answers, and how soon it answers.

    python -m benchmarks.swap [--home build/home] [--rate 463] [--swaps 5] [--every 4] [--json]

`plumbline serve run` with its default settings, on a copy of the home; open loop with Poisson arrivals, the default
budget. Another process moves the champion's alias between two versions with the same content, as `promote` does.
"Around a swap" is from the move of the alias until half a second after the new version's first answer: the time in
which it is loaded and warmed up beside the one that answers. Writes build/bench/swap.json.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import tempfile
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from benchmarks.serving import command
from benchmarks.serving.home import bodies, open_home
from benchmarks.serving.loads import BUDGET_SECONDS
from benchmarks.serving.machine import machine
from benchmarks.serving.running import serving
from benchmarks.serving.systems import OURS, Place, select_systems
from plumbline.errors import PlumblineError
from plumbline.registry.models import CHAMPION, ModelRegistry
from plumbline.settings import load_settings
from serving.load.arrivals import Segment, due_times
from serving.load.client import send_all, send_closed

_LEAD_SECONDS, _AFTER_SECONDS = 4.0, 0.5
_POSTINGS = 4_000


def main() -> None:
    """Runs the benchmark."""
    parser = command.options(__doc__, port=28_000)
    parser.add_argument("--rate", type=float, default=463.0)
    parser.add_argument("--swaps", type=int, default=5)
    parser.add_argument("--every", type=float, default=4.0, help="seconds from one swap to the next")
    command.report("swap", parser.parse_args(), run, _table)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The whole result.

    Raises:
        PlumblineError: There is no champion, or the endpoint does not start.
    """
    (system,) = select_systems([OURS])
    open_home(options.home)  # says what is missing, before it is copied
    seconds = _LEAD_SECONDS + options.swaps * options.every
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        shutil.copytree(options.home, home, ignore=shutil.ignore_patterns("predictions", "monitoring"))
        served = open_home(home)
        postings = bodies(served, _POSTINGS)
        place = Place(options.port, served.model, served.mlflow_model, home, Path(folder))
        ours, theirs = multiprocessing.get_context("spawn").Pipe()
        mover = multiprocessing.get_context("spawn").Process(target=_move, args=(home, options, theirs), daemon=True)
        mover.start()
        versions: dict[int, str] = {}
        with serving(system, place, postings[0]) as running:
            send_closed(running.url, postings, clients=4, seconds=3.0, timeout=10.0, id_prefix="start")
            due = due_times([Segment(seconds, options.rate, options.rate)], "poisson", 0)
            if not ours.poll(60):
                raise PlumblineError("The process that moves the alias did not start; what it said is above.")
            ours.recv()
            start = time.monotonic() + 0.5
            ours.send(start + _LEAD_SECONDS)
            exchanges = send_all(
                running.url,
                [postings[number % len(postings)] for number in range(len(due))],
                due,
                request_ids=[f"swap-{number}" for number in range(len(due))],
                timeout=10.0,
                on_answer=lambda number, status, body: _note(versions, number, status, body),
                start=start,
            )
            if not ours.poll(60):
                raise PlumblineError("The alias was not moved; what the process that moves it said is above.")
            moved = ours.recv()
        mover.join()
    instants = np.asarray([moment - start for moment, _ in moved])
    swaps = [
        _swap(exchanges.due, exchanges.ended, versions, at, to)
        for at, (_, to) in zip(instants.tolist(), moved, strict=True)
    ]
    around = np.zeros(len(due), dtype=bool)
    for swap in swaps:
        around |= (exchanges.due >= swap["moved_at"]) & (exchanges.due <= swap["over_at"])
    return {
        "machine": machine(),
        "rate": options.rate,
        "sent": len(due),
        "failed": exchanges.errors_by_kind(),
        "swaps": swaps,
        "around_swaps": _latency(exchanges.latency[around & exchanges.answered]),
        "otherwise": _latency(exchanges.latency[~around & exchanges.answered]),
    }


def _note(versions: dict[int, str], number: int, status: int, body: bytes) -> None:
    if status == 200:
        versions[number] = orjson.loads(body)["model"]["version"]


def _move(home: Path, options: argparse.Namespace, pipe: Connection) -> None:
    """Registers a second version, then moves the alias when it is time."""
    registry = ModelRegistry(load_settings(home=home))
    champion = registry.get(CHAMPION)
    content = registry.fetch(CHAMPION).path.parent.parent
    second = registry.register(champion.run_id, artifact_uri=str(content), tags=champion.tags)
    pipe.send("ready")
    at = pipe.recv()
    moved = []
    for number in range(options.swaps):
        time.sleep(max(0.0, at + number * options.every - time.monotonic()))
        version = champion.version if number % 2 else second
        registry.point(CHAMPION, version)
        moved.append((time.monotonic(), version))
    pipe.send(moved)


def _swap(
    due: NDArray[np.float64], ended: NDArray[np.float64], versions: Mapping[int, str], at: float, to: str
) -> dict[str, Any]:
    first = next((ended[number] for number in sorted(versions) if due[number] >= at and versions[number] == to), None)
    if first is None:
        raise PlumblineError(f"Version {to} never answered: swaps follow each other too fast. Give a larger --every.")
    return {
        "to": to,
        "moved_at": round(at, 3),
        "seconds_until_it_answers": round(first - at, 2),
        "over_at": round(first + _AFTER_SECONDS, 3),
    }


def _latency(latency: NDArray[np.float64]) -> dict[str, Any]:
    return {
        "answered": len(latency),
        "late": int((latency > BUDGET_SECONDS).sum()),
        **{f"p{share:g}_ms": round(1000 * float(np.percentile(latency, share)), 1) for share in (50, 99)},
        "max_ms": round(1000 * float(latency.max()), 1),
    }


def _table(result: Mapping[str, Any]) -> str:
    failed = ", ".join(f"{count} {kind}" for kind, count in result["failed"].items()) or "none"
    seconds = [swap["seconds_until_it_answers"] for swap in result["swaps"]]
    lines = [
        f"{len(seconds)} swaps at {result['rate']:g} requests/s; {result['sent']:,} sent, failed: {failed}; the new "
        f"version answers {min(seconds)} to {max(seconds)} s after the alias has moved.",
        "",
        "| | answered | p50, ms | p99 | longest | later than 50 ms |",
        "|---|---|---|---|---|---|",
    ]
    for title, name in (("around swaps", "around_swaps"), ("otherwise", "otherwise")):
        row = result[name]
        lines.append(
            f"| {title} | {row['answered']:,} | {row['p50_ms']} | {row['p99_ms']} | {row['max_ms']} | {row['late']} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
