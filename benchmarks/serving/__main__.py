"""Serving systems compared in one sitting: same machine, same model artefact, same postings, one worker each.

    python -m benchmarks.serving [--home build/home] [--systems plumbline,litserve] [--loads '16 clients;463/s']

Writes build/bench/serving.json (a row per system and load) and build/bench/serving.svg, and prints the tables. With
`--check` the exit code is 3 if a target is missed. Without a home that holds a champion, one is made of generated
postings. Without `--systems`, all are measured that do not vary another one's options.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.serving import figures, picture, table
from benchmarks.serving.home import Served, bodies, has_champion, make_home, open_home, prediction_log, serving_home
from benchmarks.serving.limit import run_limit
from benchmarks.serving.loads import select_loads
from benchmarks.serving.machine import machine
from benchmarks.serving.rounds import Findings, Plan, play
from benchmarks.serving.systems import BENCH_PACKAGES, BENCH_VENV, OURS, Place, System, select_systems
from benchmarks.serving.verdict import verdict
from plumbline.errors import GateRefusedError, PlumblineError
from plumbline.process.ports import require_free_port

OUT = Path("build/bench")
POSTINGS = 4_000
_PACKAGES = ("ray", "fastapi", "uvicorn", "mlflow", "torch")
_PRINT_VERSIONS = """
import importlib.metadata, json, sys
print(json.dumps({name: importlib.metadata.version(name) for name in sys.argv[1:]}))
"""
_QUICK_SECONDS, _QUICK_WARM_UP = 1.5, 0.5


def main() -> None:
    """Runs the benchmark."""
    options = _options()
    try:
        result = run(options)
    except PlumblineError as error:
        sys.stderr.write(f"serving benchmark: {error}\n")
        sys.exit(error.exit_code)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "serving.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    picture.draw(result, options.out / "serving.svg")
    print(table.markdown(result))
    failed = [system["title"] for system in result["systems"] if system["failure"]]
    if failed:
        sys.stderr.write(f"serving benchmark: given up: {', '.join(failed)}. Their logs are in {_work(options)}.\n")
        sys.exit(PlumblineError.exit_code)
    if options.check and not result["verdict"]["met"]:
        sys.exit(GateRefusedError.exit_code)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The whole result.

    Raises:
        PlumblineError: A system or load is unknown, a port is taken, or there is no model.
    """
    systems = select_systems(options.systems)
    loads = select_loads(options.loads)
    for number in range(2 * len(systems)):
        require_free_port("127.0.0.1", options.port + number, "--port")
    served = _served(options)
    work = _work(options)
    work.mkdir(parents=True, exist_ok=True)
    home = serving_home(served.settings.home, work / "home")
    postings = bodies(served, POSTINGS)
    started = datetime.now(UTC)
    sys.stderr.write("the limit: the model called in process ...\n")
    limit, labels = run_limit(served.model, postings, work, seconds=0.3 if options.quick else 1.0)
    plan = Plan(systems, loads, options.repeats, options.seconds, options.warm_up)
    begin = time.monotonic()
    found = play(
        plan,
        lambda number: Place(options.port + 2 * number, served.model, served.mlflow_model, home, work),
        postings,
        labels,
    )
    rows = [
        figures.row(system, load, found[system.name].samples[load])
        for system in systems
        for load in loads
        if load in found[system.name].samples
    ]
    best = max(limit, key=lambda one: one["rps"])
    failed = {system.name: found[system.name].failure for system in systems}
    logged = require_logged(rows, home) if failed.get(OURS, "") is None else None
    return {
        "started": started.isoformat(timespec="seconds"),
        "minutes": round((time.monotonic() - begin) / 60, 1),
        "machine": machine(),
        "versions": _versions(),
        "home": str(served.settings.home),
        "model_version": served.version,
        "posting_bytes": round(float(np.mean([len(body) for body in postings])), 1),
        "repeats": options.repeats,
        "seconds": options.seconds,
        "warm_up": options.warm_up,
        "budget_ms": 50,
        "rss_mb_is": "sum of the proportional set sizes (PSS) of all processes of the system, MiB",
        "systems": [_system(system, found[system.name]) for system in systems],
        "prediction_log": logged,
        "limit": best,
        "limit_by_batch": limit,
        "rows": rows,
        "verdict": verdict(rows, best["rps"]),
    }


def require_logged(rows: Sequence[Mapping[str, Any]], home: Path) -> dict[str, int]:
    """Our answers are all in the prediction log: without it, ours would do less than it says.

    Raises:
        PlumblineError: Some are not.
    """
    answered = sum((row["sent"] - row["errors"]) * row["postings_per_request"] for row in rows if row["system"] == OURS)
    logged = {"answered": answered, **prediction_log(home)}
    if logged["count"] < answered:
        raise PlumblineError(f"{answered} postings were answered and {logged['count']} logged; {home} has the log.")
    return logged


def _work(options: argparse.Namespace) -> Path:
    return Path(options.out / "serving-work").absolute()


def _served(options: argparse.Namespace) -> Served:
    home = Path(options.home or os.environ.get("PLUMBLINE_HOME") or "build/home").absolute()
    if not has_champion(home):
        if options.home or "PLUMBLINE_HOME" in os.environ:
            return open_home(home)  # says what is missing
        home = (options.out / "home").absolute()
        if not has_champion(home):
            make_home(home)
    return open_home(home)


def _system(system: System, found: Findings) -> dict[str, Any]:
    return {
        "name": system.name,
        "title": system.title,
        "work": system.work,
        "start_seconds": _mean(found.start_seconds),
        "stop_seconds": _mean(found.stop_seconds),
        "rest_mb": _mean(found.rest_mb),
        "processes": found.processes,
        "failure": found.failure,
    }


def _mean(values: Sequence[float]) -> float | None:
    return round(float(np.mean(values)), 2) if values else None


def _versions() -> dict[str, str]:
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    if (BENCH_VENV / "python").exists():
        line = [str(BENCH_VENV / "python"), "-c", _PRINT_VERSIONS, *BENCH_PACKAGES]
        versions |= json.loads(subprocess.run(line, capture_output=True, check=True).stdout)
    return versions


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serving", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--home", type=Path, default=None, help="default: PLUMBLINE_HOME, else build/home, else a new one"
    )
    parser.add_argument("--systems", type=_names, default=None, help="names or patterns, with commas between")
    parser.add_argument("--loads", type=_names_of_loads, default=None, help="names, with semicolons between")
    parser.add_argument("--seconds", type=float, default=3.0, help="per load and round")
    parser.add_argument("--warm-up", type=float, default=1.0, help="seconds of each load before")
    parser.add_argument("--repeats", type=int, default=3, help="rounds")
    parser.add_argument("--quick", action="store_true", help="one short round: whether it works, not how fast")
    parser.add_argument("--port", type=int, default=27_100, help="first of two ports per system")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--check", action="store_true", help="exit with 3 if a target is missed")
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.warm_up, options.repeats = _QUICK_SECONDS, _QUICK_WARM_UP, 1
    if options.seconds <= 0 or options.warm_up <= 0 or options.repeats < 1:
        parser.error("give seconds and warm-up above 0, and at least one repeat")
    return options


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _names_of_loads(text: str) -> list[str]:
    return [name.strip() for name in text.split(";") if name.strip()]


if __name__ == "__main__":
    main()
