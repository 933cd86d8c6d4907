"""Plots of the story, as SVG text that is put into the page."""

from __future__ import annotations

import io
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#1f2933"
MUTED = "#9aa5b1"
GOOD = "#2f7d5b"
BAD = "#c0392b"
ACCENT = "#2b6cb0"


def weekly_accuracy(rows: list[dict[str, Any]], *, change_point: datetime, retraining: datetime) -> str:
    """Accuracy by week with and without the loop, with its 95% intervals and the two instants."""
    from matplotlib.dates import date2num

    figure, axes = _figure(height=3.4)
    axes.xaxis_date()
    weeks = [date2num(datetime.fromisoformat(row["week"])) for row in rows]
    for name, colour, label in (
        ("without_loop", BAD, "first model for ever"),
        ("with_loop", GOOD, "with the loop"),
    ):
        axes.plot(weeks, [row[name] for row in rows], color=colour, marker="o", linewidth=2, label=label)
        intervals = [row.get(f"{name}_interval") for row in rows]
        if all(intervals):
            low, high = zip(*((pair[0], pair[1]) for pair in intervals if pair), strict=True)
            axes.fill_between(weeks, low, high, color=colour, alpha=0.15, linewidth=0)
    for instant, text in ((change_point, "drift sets in"), (retraining, "retrained")):
        axes.axvline(date2num(instant), color=INK, linestyle=":", linewidth=1)
        axes.annotate(
            text,
            (instant, 0.02),
            xycoords=("data", "axes fraction"),
            xytext=(4, 0),
            textcoords="offset points",
        )
    axes.set_ylabel("accuracy")
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    figure.autofmt_xdate(rotation=0, ha="center")
    return _svg(figure)


def latency(load: dict[str, Any], *, budget_ms: float) -> str:
    """Percentiles of the load run against the endpoint's budget, milliseconds."""
    names = [name for name in ("p50_ms", "p90_ms", "p95_ms", "p99_ms", "p999_ms", "max_ms") if name in load]
    figure, axes = _figure(height=2.6)
    values = [float(load[name]) for name in names]
    colours = [GOOD if value <= budget_ms else BAD for value in values]
    bars = axes.barh([name.removesuffix("_ms") for name in names], values, color=colours)
    axes.bar_label(bars, fmt="%.1f", padding=4)
    axes.axvline(budget_ms, color=INK, linestyle=":")
    axes.annotate(
        "budget",
        (budget_ms, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(4, 2),
        textcoords="offset points",
    )
    axes.set_xlim(0, max([*values, budget_ms]) * 1.15)
    axes.invert_yaxis()
    axes.set_xlabel("milliseconds from the intended send time")
    return _svg(figure)


def drift_tests(tests: list[dict[str, Any]], *, most: int = 14) -> str:
    """Each test's statistic as a multiple of its threshold; above one is a breach."""
    ratios = sorted(
        ((test["value"] / test["threshold"], test) for test in tests if test.get("threshold")),
        key=lambda pair: pair[0],
        reverse=True,
    )[:most]
    figure, axes = _figure(height=0.6 + 0.26 * max(len(ratios), 1))
    labels = [test["name"].replace(":", " of ") for _, test in ratios]
    colours = [BAD if test["breached"] else MUTED for _, test in ratios]
    axes.barh(labels, [min(ratio, 10.0) for ratio, _ in ratios], color=colours)
    axes.axvline(1.0, color=INK, linestyle=":")
    axes.invert_yaxis()
    axes.set_xlabel("statistic / threshold (cut at 10)")
    return _svg(figure)


def confusion(matrix: list[list[int]], labels: list[str]) -> str:
    """Confusion matrix; rows are true classes, shades are shares of the row."""
    figure, axes = _figure(width=4.6, height=4.2)
    shares = [[count / max(sum(row), 1) for count in row] for row in matrix]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, counts in enumerate(matrix):
        for column, count in enumerate(counts):
            if count:
                ink = "white" if shares[row][column] > 0.5 else INK
                axes.text(column, row, str(count), ha="center", va="center", fontsize=7, color=ink)
    axes.set_xticks(range(len(labels)), labels)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    for side in axes.spines.values():
        side.set_visible(False)
    return _svg(figure)


def durations(seconds: dict[str, float]) -> str:
    """Seconds of each step, in the order in which they ran."""
    figure, axes = _figure(height=0.6 + 0.26 * max(len(seconds), 1))
    bars = axes.barh(list(seconds), list(seconds.values()), color=ACCENT)
    axes.bar_label(bars, fmt="%.1f", padding=4)
    axes.invert_yaxis()
    axes.set_xlabel("seconds")
    axes.margins(x=0.12)
    return _svg(figure)


def _figure(*, width: float = 7.2, height: float) -> tuple[Figure, Axes]:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    # Text stays text, so that the page can be searched and its size stays small.
    pyplot.rcParams.update({"svg.fonttype": "none", "font.size": 9, "font.family": "sans-serif"})
    figure, axes = pyplot.subplots(figsize=(width, height), layout="constrained")
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _svg(figure: Figure) -> str:
    from matplotlib import pyplot

    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    pyplot.close(figure)
    text = buffer.getvalue()
    return text[text.index("<svg") :]
