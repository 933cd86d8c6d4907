"""Goodput and p99 by load, a line per system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.serving.systems import OURS

_HIGHEST_MS = 5000.0


def draw(result: Mapping[str, Any], path: Path) -> None:
    """Writes the picture as SVG; loads of single postings only.

    Args:
        result: As `serving.json` holds it.
        path: The file.
    """
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    rows = [row for row in result["rows"] if not row["load"].startswith("batch")]
    if not rows:
        return
    loads = list(dict.fromkeys(row["load"] for row in rows))
    colours = [f"C{number}" for number in range(10)]
    figure, (goodput, latency) = plt.subplots(1, 2, figsize=(13, 5.2), layout="constrained")
    for number, system in enumerate(result["systems"]):
        own = {row["load"]: row for row in rows if row["system"] == system["name"]}
        style: dict[str, Any] = {
            "label": system["title"], "color": colours[number % len(colours)], "marker": "o", "markersize": 4,
            "linewidth": 2.6 if system["name"] == OURS else 1.3,
        }  # fmt: skip
        for kind in _kinds(loads):
            places = [place for place, load in enumerate(loads) if load in own and load in kind]
            chosen = [own[loads[place]] for place in places]
            goodput.plot(places, [row["goodput_rps"] or 0.0 for row in chosen], **style)
            latency.plot(places, [min(row["p99_ms"] or _HIGHEST_MS, _HIGHEST_MS) for row in chosen], **style)
            style.pop("label", None)
    latency.axhline(50, color="0.5", linewidth=1, linestyle="--")
    latency.set_yscale("log")
    for axes, title in ((goodput, "Answers inside 50 ms, per second"), (latency, "p99, ms")):
        axes.set_title(title, loc="left")
        axes.set_xticks(range(len(loads)), loads, rotation=30, ha="right")
        axes.grid(visible=True, alpha=0.3)
    goodput.set_ylim(bottom=0)
    goodput.legend(fontsize=8, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _kinds(loads: Sequence[str]) -> tuple[list[str], list[str]]:
    """Closed and open loop: no line leads from one to the other."""
    opened = [load for load in loads if load.endswith("/s")]
    return [load for load in loads if load not in opened], opened
