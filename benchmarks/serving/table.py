"""The result as Markdown, for the documentation and the terminal.

python -m benchmarks.serving.table build/bench/serving.json
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]


def main() -> None:
    """Prints the tables of a result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", type=Path, help="what `make bench-serving` wrote")
    path = parser.parse_args().result
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{path} is not a result of `make bench-serving`: {error}.\n")
        sys.exit(2)
    print(markdown(result))


def markdown(result: Mapping[str, Any]) -> str:
    """All tables of a result."""
    rows = result["rows"]
    single = [row for row in rows if not row["load"].startswith("batch")]
    batch = [row for row in rows if row["load"].startswith("batch")]
    titles = {system["name"]: system["title"] for system in result["systems"]}
    parts = [
        _machine(result),
        "Goodput: answers inside 50 ms of the intended send time, per second",
        _by_load(single, titles, lambda row: _number(row["goodput_rps"])),
        "p50 / p99, ms",
        _by_load(single, titles, lambda row: f"{_number(row['p50_ms'], 1)} / {_number(row['p99_ms'], 1)}"),
        "CPU of the system per request, ms",
        _by_load(single, titles, lambda row: _number(row["cpu_ms_per_request"], 2)),
        "Each system",
        _systems(result),
        "Every row",
        _all_rows(rows, titles),
    ]
    if batch:
        parts += ["Our batch route, and the model called in process", _batch(batch, result["limit"])]
    log = result.get("prediction_log")
    if log is not None:
        parts.append(
            f"Prediction log of ours: {log['count']:,} records, {log['degraded']:,} without all features; "
            f"{log['answered']:,} postings were answered after the warm-ups."
        )
    parts += ["Verdict", _verdict(result["verdict"])]
    return "\n\n".join(parts)


def _machine(result: Mapping[str, Any]) -> str:
    machine = result["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    return (
        f"{machine['processors']} cores ({machine['processor']}), {machine['memory_gb']:.0f} GiB, {machine['system']}; "
        f"Python {machine['python']}, {versions}. {result['repeats']} rounds of {result['seconds']:g} s per load, each "
        f"after {result['warm_up']:g} s of it; postings of {result['posting_bytes']:.0f} bytes; {result['started']}."
    )


def _by_load(rows: Sequence[Row], titles: Mapping[str, str], cell: Any) -> str:
    loads = list(dict.fromkeys(row["load"] for row in rows))
    found = {(row["system"], row["load"]): cell(row) for row in rows}
    lines = [
        [titles[system], *(found.get((system, load), "–") for load in loads)]
        for system in dict.fromkeys(row["system"] for row in rows)
    ]
    return _table(["system", *loads], lines)


def _systems(result: Mapping[str, Any]) -> str:
    header = ["system", "work per posting", "start s", "stop s", "memory at rest MB", "processes"]
    lines = [
        [
            system["title"], _work(system), _number(system["start_seconds"], 1), _number(system["stop_seconds"], 1),
            _number(system["rest_mb"]), str(system["processes"]),
        ]
        for system in result["systems"]
    ]  # fmt: skip
    return _table(header, lines)


def _work(system: Mapping[str, Any]) -> str:
    return f"given up: {system['failure'].splitlines()[0]}" if system["failure"] else str(system["work"])


def _all_rows(rows: Sequence[Row], titles: Mapping[str, str]) -> str:
    header = ["system", "load", "rps", "goodput (least, most)", "p50 ms", "p99 ms (least, most)", "errors of", "MB"]
    return _table(header, [_line(row, titles) for row in rows])


def _line(row: Row, titles: Mapping[str, str]) -> list[str]:
    repeats = row["repeats"]
    return [
        titles[row["system"]],
        row["load"],
        _number(row["rps"]),
        _with_range(row["goodput_rps"], repeats["goodput_rps"]),
        _number(row["p50_ms"], 1),
        _with_range(row["p99_ms"], repeats["p99_ms"], 1),
        f"{row['errors']} of {row['sent']}",
        _number(row["rss_mb"]),
    ]


def _batch(rows: Sequence[Row], limit: Mapping[str, Any] | None) -> str:
    lines = [
        [row["load"], _number(row["postings_per_second"]), _number(row["p50_ms"], 1), _number(row["p99_ms"], 1)]
        for row in rows
    ]
    if limit is not None:
        lines.append(
            [f"in process, batch {limit['batch']}, threads {limit['threads']}", _number(limit["rps"]), "–", "–"]
        )
    return _table(["load", "postings/s", "p50 ms", "p99 ms"], lines)


def _verdict(verdict: Mapping[str, Any]) -> str:
    lines = []
    for target in verdict["targets"].values():
        by_load = target.get("by_load") or {}
        ratios = ", ".join(f"{load}: {'–' if ratio is None else f'{ratio:.2f}'}" for load, ratio in by_load.items())
        ratio = target.get("ratio")
        lines.append(
            [target["asked"], target["measured"], "–" if ratio is None else f"{ratio:.2f}", ratios or "–",
             "met" if target["met"] else "missed"]
        )  # fmt: skip
    return _table(["target", "measured", "ratio", "ratio by load", ""], lines)


def _table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *lines))


def _with_range(value: float | None, spread: Mapping[str, float] | None, digits: int = 0) -> str:
    if value is None or spread is None:
        return "–"
    return f"{_number(value, digits)} ({_number(spread['min'], digits)}, {_number(spread['max'], digits)})"


def _number(value: float | None, digits: int = 0) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


if __name__ == "__main__":
    main()
