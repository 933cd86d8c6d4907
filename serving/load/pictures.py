"""Pictures of a load run, as SVG text that is put into the page."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#1f2933"
MUTED = "#9aa5b1"
GOOD = "#2f7d5b"
BAD = "#c0392b"
ACCENT = "#2b6cb0"
_ERROR_COLOURS = (BAD, "#d97706", "#7c3aed", "#0f766e", "#be185d", MUTED)


def latency_over_time(rows: Sequence[dict[str, Any]], *, budget_ms: float) -> str:
    """p50, p95, p99 and the longest latency of each second, by when requests were due."""
    figure, axes = _figure()
    at = [row["second"] for row in rows]
    for name, colour, width in (("max", MUTED, 0.8), ("p99", BAD, 1.6), ("p95", ACCENT, 1.2), ("p50", GOOD, 1.6)):
        axes.plot(at, [_number(row[f"{name}_ms"]) for row in rows], color=colour, linewidth=width, label=name)
    _budget(axes, budget_ms)
    axes.set(xlabel="seconds", ylabel="ms from the intended send time", yscale="log")
    axes.yaxis.set_major_formatter("{x:g}")
    _legend(axes)
    return _svg(figure)


def percentile_curve(points: Sequence[Sequence[float]], *, budget_ms: float) -> str:
    """Latency by percentile, whose axis counts nines, as HdrHistogram draws it."""
    figure, axes = _figure()
    nines = [-np.log10(1 - percentile / 100) for percentile, _ in points]
    axes.plot(nines, [latency for _, latency in points], color=ACCENT, linewidth=2)
    most = int(max(nines, default=1)) + 1
    labels = ["0", "90%", "99%", "99.9%", "99.99%", "99.999%", "99.9999%"][: most + 1]
    axes.set_xticks(range(len(labels)), labels)
    _budget(axes, budget_ms)
    axes.set(xlabel="percentile", ylabel="ms", ylim=(0, None))
    return _svg(figure)


def rates(rows: Sequence[dict[str, Any]], corners: Sequence[Sequence[float]], *, offset: float) -> str:
    """Requests per second: planned, offered, answered, and answered inside the budget.

    Args:
        rows: A row per second.
        corners: (seconds, rate) of the plan, without the warm-up; empty where there was no plan.
        offset: Seconds of warm-up before it.
    """
    figure, axes = _figure()
    at = [row["second"] for row in rows]
    if corners:
        axes.plot([offset + x for x, _ in corners], [y for _, y in corners], color=INK, linestyle=":", label="planned")
    # Where they are equal all three lie upon each other: the lower ones are the wider ones.
    for name, colour, label, width in (
        ("due", MUTED, "offered", 5.0),
        ("answered", ACCENT, "answered", 2.8),
        ("good", GOOD, "good", 1.2),
    ):
        counts = [row[name] for row in rows]
        axes.step([*at, at[-1] + 1], [*counts, counts[-1]], where="post", color=colour, linewidth=width, label=label)
    axes.set(xlabel="seconds", ylabel="requests per second", ylim=(0, None))
    _legend(axes)
    return _svg(figure)


def errors_over_time(rows: Sequence[dict[str, Any]], kinds: Sequence[str]) -> str:
    """Failed requests of each second by kind, one upon the other."""
    figure, axes = _figure(height=2.4)
    at = [row["second"] for row in rows]
    below = np.zeros(len(rows))
    for place, kind in enumerate(kinds):
        counts = np.array([row["errors"].get(kind, 0) for row in rows], dtype=float)
        colour = _ERROR_COLOURS[place % len(_ERROR_COLOURS)]
        axes.bar(at, counts, bottom=below, width=1.0, align="edge", color=colour, label=kind)
        below += counts
    axes.set(xlabel="seconds", ylabel="errors")
    _legend(axes)
    return _svg(figure)


def knee_curve(steps: Sequence[dict[str, Any]], *, knee: float | None, budget_ms: float) -> str:
    """p99 and goodput by rate; the knee is where they part."""
    figure, axes = _figure()
    told = [step for step in steps if step["p99_ms"] is not None]
    axes.plot([step["rate"] for step in told], [step["p99_ms"] for step in told], color=BAD, marker="o", label="p99")
    _budget(axes, budget_ms)
    axes.set(xlabel="requests per second", ylabel="p99, ms", yscale="log")
    axes.yaxis.set_major_formatter("{x:g}")
    other = axes.twinx()
    other.plot(
        [step["rate"] for step in steps], [step["goodput"] for step in steps], color=GOOD, marker="s", label="good"
    )
    other.set(ylabel="good answers per second", ylim=(0, None))
    if knee is not None:
        axes.axvline(knee, color=INK, linewidth=1)
        axes.annotate(f"knee {knee:.0f}/s", (knee, 0.02), xycoords=("data", "axes fraction"), xytext=(4, 0),
                      textcoords="offset points")  # fmt: skip
    lines = [*axes.get_lines()[:1], *other.get_lines()]
    labels = [str(line.get_label()) for line in lines]
    axes.legend(lines, labels, frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    return _svg(figure)


def _budget(axes: Axes, budget_ms: float) -> None:
    axes.axhline(budget_ms, color=INK, linestyle=":", linewidth=1)
    axes.annotate("budget", (1.0, budget_ms), xycoords=("axes fraction", "data"), xytext=(-2, 3), ha="right",
                  textcoords="offset points")  # fmt: skip


def _legend(axes: Axes) -> None:
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=6)


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _figure(height: float = 3.0) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.6, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _svg(figure: Figure) -> str:
    from matplotlib import rc_context

    buffer = io.StringIO()
    # Text stays text, so that the page can be searched and its size stays small.
    with rc_context({"svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
