"""The plots of an evaluation, as PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from plumbline.registry.reference import PREDICTION, PROBABILITY

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BINS = 10
_INK = "#1f3a5f"
_LIGHT = "#9db4cf"


def write_plots(evaluation: pd.DataFrame, history: Sequence[dict[str, Any]], folder: Path) -> list[Path]:
    """Draws confusion, reliability and the course of training.

    Args:
        evaluation: Rows with `label`, `prediction` and `probability`.
        history: One mapping of figures per epoch.
        folder: Where the files go.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    figures = {"confusion.png": _confusion(evaluation), "reliability.png": _reliability(evaluation)}
    if history:
        figures["training.png"] = _training(history)
    written = []
    for name, figure in figures.items():
        figure.savefig(folder / name, dpi=110)
        written.append(folder / name)
    return written


def reliability(right: NDArray[np.bool_], probability: NDArray[np.float64], bins: int = _BINS) -> pd.DataFrame:
    """Stated probability against the share of right answers, in bins of equal width.

    Returns:
        Columns `stated`, `right`, `rows`; bins without rows are left out.
    """
    frame = pd.DataFrame({"stated": probability, "right": right.astype(float)})
    frame["bin"] = np.minimum((probability * bins).astype(int), bins - 1)
    grouped = frame.groupby("bin")
    return pd.DataFrame(
        {"stated": grouped["stated"].mean(), "right": grouped["right"].mean(), "rows": grouped.size()}
    ).reset_index(drop=True)


def _figure(width: float, height: float) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure  # without pyplot: no display, no global state

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def _confusion(evaluation: pd.DataFrame) -> Figure:
    labels = sorted({*evaluation["label"], *evaluation[PREDICTION]})
    table = pd.crosstab(evaluation["label"], evaluation[PREDICTION]).reindex(index=labels, columns=labels, fill_value=0)
    counts = table.to_numpy()
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = max(4.0, 0.5 * len(labels) + 2)
    figure, axes = _figure(size, size)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    if len(labels) <= 20:
        for row, column in np.ndindex(*counts.shape):
            if counts[row, column]:
                colour = "white" if share[row, column] > 0.5 else "black"
                axes.text(column, row, counts[row, column], ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(range(len(labels)), labels, rotation=90)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("prediction")
    axes.set_ylabel("label")
    axes.set_title(f"Confusion on {len(evaluation):,} later postings")
    return figure


def _reliability(evaluation: pd.DataFrame) -> Figure:
    points = reliability((evaluation["label"] == evaluation[PREDICTION]).to_numpy(), evaluation[PROBABILITY].to_numpy())
    figure, axes = _figure(5, 4)
    axes.plot([0, 1], [0, 1], color=_LIGHT, linestyle="--")
    axes.scatter(points["stated"], points["right"], s=10 + 190 * points["rows"] / points["rows"].max(), color=_INK)
    axes.plot(points["stated"], points["right"], color=_INK)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="stated probability", ylabel="share right", title="Calibration")
    return figure


def _training(history: Sequence[dict[str, Any]]) -> Figure:
    frame = pd.DataFrame(history)
    names = [name for name in frame.select_dtypes("number").columns if name not in {"epoch", "seconds"}]
    figure, axes = _figure(5, 4)
    for name in names:
        axes.plot(range(1, len(frame) + 1), frame[name], marker="o", label=name)
    axes.set(xlabel="epoch", title="Training")
    axes.legend()
    return figure
