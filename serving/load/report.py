"""Figures of a load run."""

from __future__ import annotations

from typing import Any

import numpy as np
from hdrh.histogram import HdrHistogram
from numpy.typing import NDArray

from serving.load.answers import AnswerReader
from serving.load.exchanges import Exchanges

_HIGHEST_MICROSECONDS = 120_000_000
_DIGITS = 3
_QUANTILES = {"p50": 50.0, "p95": 95.0, "p99": 99.0, "p999": 99.9}


def summarise(measured: Exchanges, answers: AnswerReader, *, budget_ms: float) -> dict[str, Any]:
    """Latency, errors and server timings of the measured requests.

    Latency counts from the instant at which a request was due, not from when it was sent: a client that falls
    behind does not hide what a user would have waited (Tene's "coordinated omission").

    Args:
        measured: At least one request.
        answers: What the answers said.
        budget_ms: Latency budget.
    """
    answered = measured.answered
    waited = measured.latency[answered]
    latency, lag = histogram_of(waited), histogram_of(measured.lag)
    span = float(measured.ended.max() - measured.due[0])
    some = len(waited) > 0
    return {
        "sent": len(measured),
        "answered": len(waited),
        "errors": len(measured) - len(waited),
        "errors_by_kind": measured.errors_by_kind(),
        "rate": round(len(waited) / span, 2) if span > 0 else 0.0,
        **{f"{name}_ms": _milliseconds(latency, share) if some else None for name, share in _QUANTILES.items()},
        "max_ms": latency.get_max_value() / 1000 if some else None,
        "mean_ms": round(latency.get_mean_value() / 1000, 3) if some else None,
        "budget_ms": budget_ms,
        "within_budget": round(float((waited * 1000 <= budget_ms).sum()) / len(measured), 6),
        "degraded": answers.degraded,
        "by_version": dict(answers.by_version),
        "server_mean_ms": answers.server_mean_ms(),
        "send_lag_p99_ms": _milliseconds(lag, 99),
    }


def histogram_of(seconds: NDArray[np.float64]) -> HdrHistogram:
    """HDR histogram in microseconds, three digits."""
    histogram = HdrHistogram(1, _HIGHEST_MICROSECONDS, _DIGITS)
    microseconds = np.clip(np.rint(seconds * 1e6), 1, _HIGHEST_MICROSECONDS).astype(np.int64)
    for value, count in zip(*np.unique(microseconds, return_counts=True), strict=True):
        histogram.record_value(int(value), int(count))
    return histogram


def _milliseconds(histogram: HdrHistogram, percentile: float) -> float:
    return float(histogram.get_value_at_percentile(percentile)) / 1000
