"""Counts the prediction log."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pandas as pd

from plumbline.settings import Settings
from serving.prediction_log.reading import read, read_left_out
from serving.prediction_log.segments import spool_dir, spool_size
from serving.prediction_log.shipping_state import read_state


def count(settings: Settings, *, since: datetime | None = None, until: datetime | None = None) -> dict[str, Any]:
    """What is in the log, what is not, and what waits to be shipped.

    Args:
        settings: The spool, and the object store.
        since: From this instant on; None: from the first record.
        until: Before this instant; None: to the last record.

    Returns:
        `count`, `first`, `last`, `degraded`, `by_version` and `by_role` of answers that clients got (`shadow`: those
        that they did not); `stands_for`: answers that the records stand for, each for 1/sample_rate of them;
        `left_out` by reason; `spool`; `shipping`.

    Raises:
        UserError: An instant has no time zone.
        DependencyError: The object store did not answer.
    """
    frame = read(
        settings,
        roles=("champion", "canary", "shadow"),
        since=since,
        until=until,
        columns=["time", "role", "degraded", "model_version", "sample_rate"],
    )
    answers = frame[frame["role"] != "shadow"]
    left_out = read_left_out(settings, since=since, until=until)
    segments, size = spool_size(spool_dir(settings))
    state = read_state(spool_dir(settings))
    return {
        "count": len(answers),
        "first": answers["time"].min().isoformat() if len(answers) else None,
        "last": answers["time"].max().isoformat() if len(answers) else None,
        "degraded": int(answers["degraded"].sum()),
        "by_version": _counts(answers["model_version"]),
        "by_role": _counts(answers["role"]),
        "shadow": len(frame) - len(answers),
        "stands_for": round(float((1.0 / answers["sample_rate"].fillna(1.0)).sum())),
        "left_out": {str(reason): int(rows["count"].sum()) for reason, rows in left_out.groupby("reason")},
        "spool": {"segments": segments, "bytes": size},
        "shipping": {"failures": state.failures, "last_error": state.last_error, "damaged": state.damaged},
    }


def _counts(values: pd.Series) -> dict[str, int]:
    return {str(value): int(number) for value, number in values.value_counts().sort_index().items()}
