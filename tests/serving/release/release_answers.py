"""A release, and answers of the log with labels that have arrived."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from plumbline.registry.releases import Release
from plumbline.settings.serving_release import ReleaseSettings

STARTED = datetime(2026, 6, 1, tzinfo=UTC)
COLUMNS = ["request_id", "time", "posting_id", "label", "model_version", "role"]


def a_release(*, canary: bool = True, shadow: bool = False, **limits: Any) -> Release:
    return Release("abc", "2", canary, shadow, 0.1, STARTED, ReleaseSettings(**limits))


def answers_and_labels(
    *,
    champion_wrong: float,
    wrong: float,
    champions: int,
    others: int,
    role: str = "canary",
    labelled: float = 1.0,
    seed: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Records and labels; a shadow answers the champion's first requests, its errors independent of his."""
    generator = np.random.default_rng(seed)
    rows, labels = [], []

    def add(request: int, role: str, failing: float) -> None:
        version = "1" if role == "champion" else "2"
        label = "b" if generator.random() < failing else "a"
        at = STARTED + timedelta(seconds=request)
        rows.append((f"r{request}", at, f"p{request}", label, version, role))

    for request in range(champions):
        add(request, "champion", champion_wrong)
    for number in range(others):
        add(number if role == "shadow" else champions + number, role, wrong)
    for posting in dict.fromkeys(row[2] for row in rows):
        truth = "a" if generator.random() < labelled else None
        labels.append((posting, truth, STARTED + timedelta(days=7, seconds=float(generator.integers(10_000)))))
    return pd.DataFrame(rows, columns=COLUMNS), pd.DataFrame(labels, columns=["posting_id", "label", "label_timestamp"])
