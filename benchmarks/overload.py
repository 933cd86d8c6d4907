"""What is left of the goodput when more is asked than can be answered: up to three times the capacity.

    python -m benchmarks.overload [--home build/home] [--systems plumbline,fastapi-same-work,ray-serve] [--json]

Each system is started as in `benchmarks.serving`, and its capacity sought: the most answers inside 50 ms per second
over a ladder of rates. Then it is asked for shares and multiples of that, in rounds. Open loop with Poisson arrivals;
latency counts from the instant at which a request was due; the load generator shares the machine. Writes
build/bench/overload.json and .svg. With `--check` the exit code is 3 if ours misses its target: at three times the
capacity, goodput within 10% of its peak, and a p99 of the answers inside the budget.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.serving import command, figures
from benchmarks.serving.command import say
from benchmarks.serving.home import bodies, open_home, serving_home
from benchmarks.serving.loads import BUDGET_SECONDS, Load, Sample, put_load
from benchmarks.serving.machine import machine
from benchmarks.serving.running import ServingProcess, serving
from benchmarks.serving.systems import OURS, Place, System, select_systems
from plumbline.errors import GateRefusedError, PlumblineError
from serving.load.client import send_closed

FACTORS = (0.5, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0)
MOST = FACTORS[-1]
_FIRST_RATE, _STEP = 100.0, 1.3
_CARRIES = 0.8
"""A rate of which this share is no longer answered in time is past the capacity."""

_SEARCH_SECONDS = 2.0
_BESIDE = ("generator_cpu_ms_per_request", "generator_lag_p99_ms", "others_cpu_cores")
_POSTINGS = 4_000
_KEPT = 0.9
"""Share of the peak that must be left at `MOST` times the capacity."""


def main() -> None:
    """Runs the benchmark."""
    chosen = _options()
    result = command.report("overload", chosen, run, markdown)
    _draw(result, chosen.out / "overload.svg")
    ours = next((system for system in result["systems"] if system["name"] == OURS), None)
    if chosen.check and (ours is None or not ours["met"]):
        sys.exit(GateRefusedError.exit_code)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The whole result.

    Raises:
        PlumblineError: There is no champion, or a system is unknown.
    """
    systems = select_systems(options.systems.split(","))
    served = open_home(options.home)
    work = (options.out / "overload-work").absolute()
    home = serving_home(served.settings.home, work / "home")
    place = Place(options.port, served.model, served.mlflow_model, home, work)
    postings = bodies(served, _POSTINGS)
    return {
        "machine": machine(),
        "budget_ms": 1000 * BUDGET_SECONDS,
        "seconds": options.seconds,
        "repeats": options.repeats,
        "systems": [_measure(system, place, postings, options) for system in systems],
    }


def _measure(system: System, place: Place, postings: Sequence[bytes], options: argparse.Namespace) -> dict[str, Any]:
    requests = [system.body(posting) for posting in postings]
    say(f"{system.title} ...")
    samples: dict[float, list[Sample]] = {factor: [] for factor in FACTORS}
    failure = None
    capacity = 0.0
    try:
        with serving(system, place, requests[0]) as running:
            for clients in (2, 16):
                send_closed(running.url, requests, clients=clients, seconds=2.0, timeout=10.0, id_prefix="start")
            capacity = _capacity(running, requests)
            say(f"  capacity {capacity:.0f}/s")
            for repeat in range(options.repeats):
                for factor in FACTORS:
                    samples[factor].append(_put(running, requests, factor * capacity, options.seconds, repeat))
    except PlumblineError as error:
        failure = str(error)
        say(f"  given up: {error}")
    rows = [
        {"factor": factor, "rate": round(factor * capacity), **_row(system, factor * capacity, samples[factor])}
        for factor in FACTORS
        if samples[factor]
    ]
    named = {"name": system.name, "title": system.title, "capacity": round(capacity), "failure": failure}
    return {**named, **_judged(rows)}


def _capacity(running: ServingProcess, requests: Sequence[bytes]) -> float:
    rate, most = _FIRST_RATE, 0.0
    while True:
        sample = _put(running, requests, rate, _SEARCH_SECONDS, 0)
        most = max(most, sample.good / sample.seconds)
        if sample.good < _CARRIES * sample.sent:
            return most
        rate *= _STEP


def _put(running: ServingProcess, requests: Sequence[bytes], rate: float, seconds: float, seed: int) -> Sample:
    running.settle(requests[0])
    load = Load(f"{rate:.0f}/s", rate=rate)
    sample = put_load(running, running.url, load, requests, seconds=seconds, warm_up=1.0, seed=seed)
    late = sum(sample.errors.values())
    say(f"  {rate:7.0f}/s: inside the budget {sample.good / sample.seconds:6.0f}/s, not answered {late}")
    return sample


def _row(system: System, rate: float, samples: Sequence[Sample]) -> dict[str, Any]:
    row = figures.row(system, Load(f"{rate:.0f}/s", rate=rate), samples)
    names = ("goodput_rps", "p50_ms", "p99_ms", "sent", "errors", "errors_by_kind", "cpu_ms_per_request", "repeats")
    return {name: row[name] for name in (*names, *_BESIDE)}


def _judged(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    if not rows or rows[-1]["factor"] != MOST:
        return {"rows": rows, "kept": None, "met": False}
    peak = max(row["goodput_rps"] for row in rows)
    last = rows[-1]
    kept = last["goodput_rps"] / peak if peak else 0.0
    in_time = last["p99_ms"] is not None and last["p99_ms"] <= 1000 * BUDGET_SECONDS
    return {"rows": rows, "peak": peak, "kept": round(kept, 3), "met": kept >= _KEPT and in_time}


def markdown(result: Mapping[str, Any]) -> str:
    """The result as tables.

    Args:
        result: As `overload.json` holds it.
    """
    machine = result["machine"]
    rounds = f"{result['repeats']} rounds of {result['seconds']:g} s per rate"
    lines = [f"{machine['processors']} cores ({machine['processor']}); {rounds}."]
    for system in result["systems"]:
        lines += [
            "",
            f"**{system['title']}**: capacity {system['capacity']:,}/s"
            + (f"; given up: {system['failure']}" if system["failure"] else "")
            + (f"; at {MOST:g} times that, {system['kept']:.0%} of the peak" if system["kept"] is not None else ""),
            "",
            "| asked, times the capacity | asked /s | answered inside 50 ms /s | least and greatest round "
            "| p50 of the answers, ms | p99 | not answered |",
            "|---|---|---|---|---|---|---|",
        ]
        for row in system["rows"]:
            spread = row["repeats"]["goodput_rps"]
            kinds = ", ".join(f"{count:,} {kind}" for kind, count in row["errors_by_kind"].items()) or "none"
            lines.append(
                f"| {row['factor']:g} | {row['rate']:,} | {row['goodput_rps']:,.0f} "
                f"| {spread['min']:,.0f} to {spread['max']:,.0f} | {_ms(row['p50_ms'])} | {_ms(row['p99_ms'])} "
                f"| {kinds} |"
            )
    return "\n".join(lines)


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _draw(result: Mapping[str, Any], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 4.6), layout="constrained")
    for number, system in enumerate(result["systems"]):
        factors = [row["factor"] for row in system["rows"]]
        goodput = [row["goodput_rps"] for row in system["rows"]]
        ranges = [row["repeats"]["goodput_rps"] for row in system["rows"]]
        axes.plot(factors, goodput, marker="o", markersize=4, color=f"C{number}", label=system["title"])
        axes.fill_between(
            factors, [one["min"] for one in ranges], [one["max"] for one in ranges], color=f"C{number}", alpha=0.15
        )
    axes.set_title("Answers inside 50 ms, per second", loc="left")
    axes.set_xlabel("requests, in times the capacity")
    axes.set_ylim(bottom=0)
    axes.grid(visible=True, alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _options() -> argparse.Namespace:
    parser = command.options(__doc__, port=18_000)
    parser.add_argument("--systems", default=f"{OURS},fastapi-same-work,ray-serve", help="comma-separated")
    parser.add_argument("--seconds", type=float, default=5.0, help="per rate and round")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--check", action="store_true", help="exit with 3 if ours misses its target")
    return parser.parse_args()


if __name__ == "__main__":
    main()
