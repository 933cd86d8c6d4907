"""Rows of the result: what the repeats of a load on a system came to, together and apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.serving.loads import Load, Sample
from benchmarks.serving.systems import System


def row(system: System, load: Load, samples: Sequence[Sample]) -> dict[str, Any]:
    """One row.

    Rates are means of the repeats; percentiles are those of all repeats' latencies together; `repeats` has the least
    and the greatest of each. Latency counts from the intended send time. `goodput_rps` are answers inside 50 ms per
    second of due time. `rss_mb` is the sum of the proportional set sizes of all the system's processes (a page that
    several share counts once), the mean over the repeats.

    Args:
        system: Which system.
        load: Which load.
        samples: Its repeats, at least one.
    """
    latency = np.concatenate([sample.latency for sample in samples])
    errors: Counter[str] = Counter()
    for sample in samples:
        errors.update(sample.errors)
    sent = sum(sample.sent for sample in samples)
    of_repeats = {
        name: _each(samples, figure)
        for name, figure in {
            "rps": _rps,
            "goodput_rps": _goodput,
            "p50_ms": lambda sample: _percentile(sample.latency, 50),
            "p99_ms": lambda sample: _percentile(sample.latency, 99),
        }.items()
    }
    requests = sum(sample.requests_with_warm_up for sample in samples)
    by_name: Counter[str] = Counter()
    for sample in samples:
        by_name.update(sample.system_cpu_by_name)
    return {
        "system": system.name,
        "load": load.name,
        "rps": _mean(of_repeats["rps"]),
        "goodput_rps": _mean(of_repeats["goodput_rps"]),
        "p50_ms": _percentile(latency, 50),
        "p99_ms": _percentile(latency, 99),
        "errors": sent - len(latency),
        "rss_mb": round(float(np.mean([sample.memory_mb for sample in samples]))),
        "postings_per_second": round(load.batch * (_mean(of_repeats["rps"]) or 0.0), 1),
        "postings_per_request": load.batch,
        "sent": sent,
        "errors_by_kind": dict(errors.most_common()),
        "cpu_ms_per_request": _per_request(sum(sample.system_cpu for sample in samples), requests),
        "cpu_ms_by_process": {
            name: _per_request(used, requests) for name, used in by_name.most_common() if used / requests > 1e-6
        },
        "generator_cpu_ms_per_request": _per_request(sum(sample.generator_cpu for sample in samples), requests),
        "generator_lag_p99_ms": round(1000 * max(sample.lag_p99 for sample in samples), 3),
        "others_cpu_cores": round(max(sample.others_cpu for sample in samples), 3),
        "repeats": {
            "count": len(samples),
            **{name: _range(values) for name, values in of_repeats.items()},
        },
    }


def _rps(sample: Sample) -> float | None:
    return len(sample.latency) / sample.span if sample.span > 0 else None


def _goodput(sample: Sample) -> float | None:
    return sample.good / sample.seconds if sample.seconds > 0 else None


def _each(samples: Sequence[Sample], figure: Callable[[Sample], float | None]) -> list[float]:
    return [value for value in map(figure, samples) if value is not None]


def _mean(values: Sequence[float]) -> float | None:
    return round(float(np.mean(values)), 1) if values else None


def _range(values: Sequence[float]) -> dict[str, float] | None:
    return {"min": round(min(values), 3), "max": round(max(values), 3)} if values else None


def _percentile(latency: NDArray[np.float64], percentile: float) -> float | None:
    """Milliseconds; None where nothing was answered."""
    return round(1000 * float(np.percentile(latency, percentile)), 2) if len(latency) else None


def _per_request(seconds: float, requests: int) -> float | None:
    return round(1000 * seconds / requests, 4) if requests else None
