"""Figures of a load run."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.load.answers import AnswerReader
from serving.load.exchanges import Exchanges, kind_name
from serving.load.histograms import Latencies

_PERCENTILES = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p999": 99.9, "p9999": 99.99}

LAG_SHARE_OF_BUDGET = 0.1
"""The generator's own lateness is part of every latency: a p99 of it above this share of the budget is too much."""

BUSY_SHARE = 0.9
"""A generator that uses more of its core than this may have been the limit itself."""


def summarise(measured: Exchanges, answers: AnswerReader, *, seconds: float, budget_ms: float) -> dict[str, Any]:
    """Latency, errors and server timings of the measured requests.

    Latency counts from the instant at which a request was due, not from when it was sent: a client that falls
    behind does not hide what a user would have waited (Tene's "coordinated omission").

    Args:
        measured: At least one request.
        answers: What the answers said.
        seconds: Over which the requests were due: good answers are counted per second of it. (The rate of all answers
            counts up to the last one, so a server that catches up late does not look quicker than it is.)
        budget_ms: Latency budget; an answer inside it is a good one.
    """
    waited = measured.latency[measured.answered]
    latencies = Latencies(waited)
    good = int((waited * 1000 <= budget_ms).sum())
    span = float(measured.ended.max() - measured.due[0])
    return {
        "sent": len(measured),
        "answered": len(waited),
        "good": good,
        "errors": len(measured) - len(waited),
        "errors_by_kind": measured.errors_by_kind(),
        "retry_after": len(measured.retry_after),
        "rate": _per_second(len(waited), span),
        "goodput_rps": _per_second(good, seconds),
        **{f"{name}_ms": latencies.percentile_ms(percentile) for name, percentile in _PERCENTILES.items()},
        "max_ms": latencies.max_ms(),
        "mean_ms": latencies.mean_ms(),
        "budget_ms": budget_ms,
        "within_budget": round(good / len(measured), 6),
        "postings_answered": answers.answered,
        "postings_per_second": _per_second(answers.answered, span),
        "rows_refused": dict(answers.rows_refused),
        "degraded": answers.degraded,
        "by_version": dict(answers.by_version),
        "server_mean_ms": answers.server_mean_ms(),
    }


def judge_generator(exchanges: Exchanges, measured: Exchanges, *, budget_ms: float, processes: int) -> dict[str, Any]:
    """Whether the generator did what it was asked to, so that the figures are the server's.

    Args:
        exchanges: The whole run: its CPU time is known for all of it only.
        measured: The measured part.
        budget_ms: Latency budget.
        processes: Among which the CPU time was divided.
    """
    lag = Latencies(measured.lag)
    span = float(exchanges.ended.max() - exchanges.due[0])
    busy = exchanges.cpu_seconds / processes / span if span > 0 else 0.0
    lag_p99 = lag.percentile_ms(99) or 0.0
    warnings = []
    if lag_p99 > LAG_SHARE_OF_BUDGET * budget_ms:
        warnings.append(
            f"The generator was late itself: {lag_p99:.1f} ms at p99, which is in the latencies. Give it a core of its "
            "own, a lower rate, or more --processes."
        )
    if busy > BUSY_SHARE:
        warnings.append(f"The generator used {100 * busy:.0f}% of its core. Give it more --processes.")
    return {
        "send_lag_p99_ms": lag_p99,
        "send_lag_max_ms": lag.max_ms(),
        "generator_cpu_us_per_request": round(1e6 * exchanges.cpu_seconds / len(exchanges), 1),
        "generator_busy": round(busy, 4),
        "generator_ok": not warnings,
        "generator_warnings": warnings,
    }


def by_second(measured: Exchanges, *, budget_ms: float) -> list[dict[str, Any]]:
    """A row per second: what was due in it, and what was answered in it.

    Latencies, errors and good answers stand in the second in which their requests were due.
    """
    due_in = np.floor(measured.due).astype(np.int64)
    ended_in = np.floor(measured.ended[measured.answered]).astype(np.int64)
    first, last = int(due_in[0]), int(due_in[-1])
    # Both are looked up by bisection: due times ascend, and ends are sorted once.
    edges = np.arange(first, last + 2)
    begins = np.searchsorted(due_in, edges)
    ends = np.searchsorted(np.sort(ended_in), edges)
    all_latency, lag = measured.latency, measured.lag
    rows = []
    for place, second in enumerate(range(first, last + 1)):
        part = slice(begins[place], begins[place + 1])
        status, latency = measured.status[part], all_latency[part]
        waited = latency[status == 200]
        failed = Counter(kind_name(code) for code in status[status != 200].tolist())
        rows.append(
            {
                "second": second,
                "due": int(begins[place + 1] - begins[place]),
                "answered": int(ends[place + 1] - ends[place]),
                "good": int((waited * 1000 <= budget_ms).sum()),
                "errors": dict(failed),
                **_quantiles_ms(waited),
                "lag_max_ms": round(1000 * float(lag[part].max()), 3) if len(status) else None,
            }
        )
    return rows


def _quantiles_ms(seconds: NDArray[np.float64]) -> dict[str, float | None]:
    names = ("p50_ms", "p95_ms", "p99_ms", "max_ms")
    if not len(seconds):
        return dict.fromkeys(names)
    return dict(zip(names, np.round(1000 * np.percentile(seconds, (50, 95, 99, 100)), 3).tolist(), strict=True))


def _per_second(count: int, span: float) -> float:
    return round(count / span, 2) if span > 0 else 0.0
