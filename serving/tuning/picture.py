"""Batch size against latency and throughput, as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def draw(result: dict[str, Any], path: Path) -> None:
    """Writes a picture of a tuning; the suffix says which kind."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = result["batches"]
    sizes = [row["batch_size"] for row in rows]
    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    left.plot(sizes, [row["p50_ms"] for row in rows], marker="o", label="p50")
    left.plot(sizes, [row["p99_ms"] for row in rows], marker="o", label="p99")
    left.axhline(result["allowed_batch_p99_ms"], color="grey", linestyle="--", label="allowed p99")
    left.axvline(result["max_batch_size"], color="grey", linestyle=":", label=f"chosen: {result['max_batch_size']}")
    left.set(xscale="log", yscale="log", xlabel="postings per batch", ylabel="ms per batch")
    left.legend()
    right.plot(sizes, [row["postings_per_second"] for row in rows], marker="o")
    right.axvline(result["max_batch_size"], color="grey", linestyle=":")
    right.set(xscale="log", xlabel="postings per batch", ylabel="postings per second", ylim=(0, None))
    figure.suptitle(f"Version {result['version']} on {result['device']}")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
