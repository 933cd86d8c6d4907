"""Accuracy by week, with the loop and without it."""

from __future__ import annotations

from datetime import datetime
from typing import Any


def with_and_without(rows: list[dict[str, Any]], *, before: str, after: str, since: datetime) -> list[dict[str, Any]]:
    """Accuracy per week of the model that the loop served then, and of the first model kept for ever.

    Args:
        rows: What `monitor weekly` answers: one row per week and version.
        before: Version that was served first.
        after: Version that is served in the end.
        since: First instant whose postings the latter answers.
    """
    by_week: dict[str, dict[str, dict[str, Any]]] = {}
    for row in rows:
        by_week.setdefault(row["week"], {})[str(row["model_version"])] = row
    result = []
    for week, versions in sorted(by_week.items()):
        served = after if datetime.fromisoformat(week) >= since else before
        result.append(
            {
                "week": week,
                "n": versions[before]["n"],
                "served_version": served,
                "with_loop": versions[served]["accuracy"],
                "without_loop": versions[before]["accuracy"],
                "with_loop_interval": versions[served].get("accuracy_interval"),
                "without_loop_interval": versions[before].get("accuracy_interval"),
            }
        )
    return result


def mean_accuracy(rows: list[dict[str, Any]], name: str) -> float:
    """Mean over weeks, weighted by their postings."""
    total = sum(row["n"] for row in rows)
    return float(sum(row[name] * row["n"] for row in rows) / total) if total else float("nan")
