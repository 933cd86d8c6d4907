"""Figures of a load run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from hdrh.histogram import HdrHistogram

from serving.load.client import Outcome

_HIGHEST_MICROSECONDS = 120_000_000
_DIGITS = 3


def summarise(outcomes: Sequence[Outcome], *, budget_ms: float) -> dict[str, Any]:
    """Latency, errors and server timings of the measured requests.

    Latency counts from the instant at which a request was due, not from when it was sent: a client that falls
    behind does not hide what a user would have waited (Tene's "coordinated omission").

    Args:
        outcomes: Measured requests, in order of their due times; at least one.
        budget_ms: Latency budget.
    """
    answered = [outcome for outcome in outcomes if outcome.answer is not None]
    latency, lag = _histogram(), _histogram()
    for outcome in answered:
        latency.record_value(_microseconds(outcome.ended - outcome.due))
    for outcome in outcomes:
        lag.record_value(_microseconds(outcome.sent - outcome.due))
    within = sum(1000 * (outcome.ended - outcome.due) <= budget_ms for outcome in answered)
    span = max(outcome.ended for outcome in outcomes) - outcomes[0].due
    errors = Counter(outcome.error for outcome in outcomes if outcome.error is not None)
    answers = [outcome.answer for outcome in answered if outcome.answer is not None]
    return {
        "sent": len(outcomes),
        "answered": len(answered),
        "errors": len(outcomes) - len(answered),
        "errors_by_kind": dict(errors),
        "rate": round(len(answered) / span, 2) if span > 0 else 0.0,
        **{f"{name}_ms": _milliseconds(latency, answered, share) for name, share in _QUANTILES.items()},
        "max_ms": latency.get_max_value() / 1000 if answered else None,
        "mean_ms": round(latency.get_mean_value() / 1000, 3) if answered else None,
        "budget_ms": budget_ms,
        "within_budget": round(within / len(outcomes), 6),
        "degraded": sum(answer["degraded"] for answer in answers),
        "by_version": dict(Counter(answer["model"]["version"] for answer in answers)),
        "server_mean_ms": _server_means(answers),
        "send_lag_p99_ms": lag.get_value_at_percentile(99) / 1000,
    }


_QUANTILES = {"p50": 50.0, "p95": 95.0, "p99": 99.0, "p999": 99.9}


def _histogram() -> HdrHistogram:
    return HdrHistogram(1, _HIGHEST_MICROSECONDS, _DIGITS)


def _microseconds(seconds: float) -> int:
    return max(1, min(_HIGHEST_MICROSECONDS, round(seconds * 1e6)))


def _milliseconds(histogram: HdrHistogram, answered: Sequence[Outcome], percentile: float) -> float | None:
    return histogram.get_value_at_percentile(percentile) / 1000 if answered else None


def _server_means(answers: Sequence[dict[str, Any]]) -> dict[str, float]:
    if not answers:
        return {}
    stages = answers[0]["timings_ms"]
    return {stage: round(sum(answer["timings_ms"][stage] for answer in answers) / len(answers), 3) for stage in stages}
