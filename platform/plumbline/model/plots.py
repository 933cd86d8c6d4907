"""Plots of an evaluation and a training, as PNG bytes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from plumbline.model.calibrate import reliability
from plumbline.model.class_names import titled
from plumbline.model.evaluate import Evaluation
from plumbline.model.metrics import per_class

_DOTS = 110


def confusion_plot(evaluation: Evaluation, names: Mapping[str, str]) -> bytes:
    """Shares of each true class, with counts."""
    counts = evaluation.confusion
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure = _figure(9.4 if names else 6, 5.4)
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(*counts.shape):
        if counts[row, column]:
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(range(len(evaluation.labels)), evaluation.labels, rotation=45, ha="right")
    axes.set_yticks(range(len(evaluation.labels)), [titled(label, names) for label in evaluation.labels], fontsize=8)
    axes.set(xlabel="answer", ylabel="truth", title=f"Confusion, n = {len(evaluation.truth)}")
    return _png(figure)


def reliability_plot(evaluation: Evaluation) -> bytes:
    """Accuracy of the answers by their probability."""
    bins = reliability(evaluation.probabilities, evaluation.truth)
    figure = _figure(5, 4.4)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="grey", linestyle="--", linewidth=1)
    axes.plot([row["confidence"] for row in bins], [row["accuracy"] for row in bins], marker="o")
    for row in bins:
        axes.annotate(f"{row['n']:.0f}", (row["confidence"], row["accuracy"]), fontsize=7, xytext=(3, -9),
                      textcoords="offset points")  # fmt: skip
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="probability", ylabel="accuracy", title="Reliability (rows per bin)")
    return _png(figure)


def class_f1_plot(evaluation: Evaluation, names: Mapping[str, str]) -> bytes:
    """F1 of each class, with its rows."""
    figures = per_class(evaluation.confusion)
    figure = _figure(7.6 if names else 5, 0.8 + 0.35 * len(evaluation.labels))
    axes = figure.add_subplot()
    bars = axes.barh([titled(label, names) for label in evaluation.labels], figures["f1"])
    axes.bar_label(bars, [f"n = {support:.0f}" for support in figures["support"]], fontsize=8, padding=2)
    axes.set(xlim=(0, 1.15), xlabel="F1", title="F1 by class")
    axes.invert_yaxis()
    return _png(figure)


def learning_curve_plot(history: Sequence[dict[str, Any]]) -> bytes:
    """Loss on the training rows, and accuracy and macro-F1 on the calibration rows, by epoch."""
    figure = _figure(5.4, 4)
    axes = figure.add_subplot()
    epochs = [entry["epoch"] for entry in history]
    axes.plot(epochs, [entry["loss"] for entry in history], color="grey", label="training loss")
    axes.set(xlabel="epoch", ylabel="loss", title="Training")
    right = axes.twinx()
    for name in ("accuracy", "macro_f1"):
        if all(name in entry for entry in history):
            right.plot(epochs, [entry[name] for entry in history], marker="o", label=f"calibration {name}")
    right.set_ylim(0, 1)
    handles = [*axes.get_lines(), *right.get_lines()]
    axes.legend(handles, [str(line.get_label()) for line in handles], loc="center right", fontsize=8)
    return _png(figure)


def all_plots(
    evaluation: Evaluation, history: Sequence[dict[str, Any]] = (), names: Mapping[str, str] = MappingProxyType({})
) -> dict[str, bytes]:
    """Every plot by its file name; classes are shown with their `names`."""
    plots = {
        "confusion.png": confusion_plot(evaluation, names),
        "reliability.png": reliability_plot(evaluation),
        "class_f1.png": class_f1_plot(evaluation, names),
    }
    if history:
        plots["learning_curve.png"] = learning_curve_plot(history)
    return plots


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DOTS)
    return buffer.getvalue()
