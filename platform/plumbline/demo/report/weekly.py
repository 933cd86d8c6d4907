"""The picture of accuracy by week, as SVG that takes its colours from the page and tells its content in words."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = Mapping[str, Any]

# Stand-ins: a page in two modes cannot use a colour that is fixed when the picture is drawn.
_COLOURS = {"#010101": "var(--ink)", "#020202": "var(--muted)", "#030303": "var(--good)", "#040404": "var(--bad)"}
_INK, _MUTED, _WITH, _WITHOUT = _COLOURS


def weekly_picture(
    rows: Sequence[Row], *, change_point: datetime, retraining: datetime, mark: str | None, name: str, wide: bool
) -> str:
    """Draws accuracy by week with and without the loop, with its 95% intervals.

    Args:
        rows: One per week: `week`, `with_loop`, `without_loop`, and their `..._interval`s or None.
        change_point: When the drift sets in.
        retraining: When the second model was trained.
        mark: What came of it, or None where nothing was retrained.
        name: Unique in the page: prefix of the picture's ids.
        wide: For a screen, else for a phone.
    """
    from matplotlib.dates import DateFormatter, date2num

    figure, axes = _figure(width=7.4 if wide else 4.2, height=3.4 if wide else 3.2)
    axes.xaxis_date()
    weeks = [date2num(datetime.fromisoformat(row["week"])) for row in rows]
    apart = any(row["with_loop"] != row["without_loop"] for row in rows)
    lines = [("with_loop", _WITH, "o", "-", "with the loop" if apart else "the version that was served")]
    if apart:
        # Told apart by dashes and marks, not by colour alone; the loop's line lies above.
        lines.insert(0, ("without_loop", _WITHOUT, "s", "--", "without: the first version throughout"))
    for column, colour, marker, style, label in lines:
        axes.plot(weeks, [row[column] for row in rows], style, color=colour, marker=marker, linewidth=2, label=label)
        intervals = [row.get(f"{column}_interval") for row in rows]
        if rows and all(intervals):
            low, high = zip(*((pair[0], pair[1]) for pair in intervals if pair), strict=True)
            axes.fill_between(weeks, low, high, color=colour, alpha=0.15, linewidth=0)
    marks = [(change_point, "drift sets in", 0.10)]
    if mark is not None:
        marks.append((retraining, mark, 0.02))
    for instant, text, height in marks:
        at = date2num(instant)
        axes.axvline(at, color=_MUTED, linestyle=":", linewidth=1.2)
        # Words beside a line near the right edge go to its left.
        side = -1 if weeks and at > (weeks[0] + 2 * weeks[-1]) / 3 else 1
        axes.annotate(
            text,
            (at, height),
            xycoords=("data", "axes fraction"),
            xytext=(4 * side, 0),
            textcoords="offset points",
            ha="left" if side > 0 else "right",
        )
    axes.set_xticks(weeks[:: math.ceil(len(weeks) / (8 if wide else 4))])
    axes.xaxis.set_major_formatter(DateFormatter("%-d %b"))
    axes.set_ylabel("accuracy")
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2 if wide else 1)
    return _svg(figure, name, _in_words(rows, change_point, retraining, mark))


def _in_words(rows: Sequence[Row], change_point: datetime, retraining: datetime, mark: str | None) -> str:
    first, last = rows[0], rows[-1]
    what = f"{mark} on {retraining.date()}" if mark else "nothing was retrained"
    return (
        f"Accuracy by week from {first['week'][:10]} to {last['week'][:10]}: drift sets in on {change_point.date()}; "
        f"{what}. First week {first['with_loop']:.2f}; last week {last['with_loop']:.2f} with the loop and "
        f"{last['without_loop']:.2f} without. The table below has every week."
    )


def _figure(*, width: float, height: float) -> tuple[Figure, Axes]:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    # Text stays text, so that the page can be searched and its size stays small.
    pyplot.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "plumbline", "font.size": 9})
    for part in ("text.color", "axes.labelcolor", "xtick.color", "ytick.color", "axes.edgecolor"):
        pyplot.rcParams[part] = _INK
    figure, axes = pyplot.subplots(figsize=(width, height), layout="constrained")
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _svg(figure: Figure, name: str, words: str) -> str:
    from matplotlib import pyplot

    buffer = io.StringIO()
    figure.savefig(
        buffer, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
    )
    pyplot.close(figure)
    text = buffer.getvalue()
    # The picture's own style sheet would speak to the whole page.
    text = re.sub(r"<style.*?</style>", "", text[text.index("<svg") :], flags=re.DOTALL)
    # Ids are unique in a page, not in each of its pictures.
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'((?:xlink:)?href="#|url\(#)', rf"\g<1>{name}-", text)
    for stand_in, colour in _COLOURS.items():
        text = text.replace(stand_in, colour)
    label = f'<svg role="img" aria-labelledby="{name}-title"'
    return text.replace("<svg", label, 1).replace(">", f'><title id="{name}-title">{escape(words)}</title>', 1)
