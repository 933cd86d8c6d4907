"""Samples and rows that the tests of the serving benchmark are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.serving.loads import Sample


def sample(latency_ms: Sequence[float], **changed: Any) -> Sample:
    """One second of load, every request answered."""
    latency = np.array(latency_ms, dtype=np.float64) / 1000
    values: dict[str, Any] = {
        "latency": latency, "sent": len(latency), "seconds": 1.0, "span": 1.0, "errors": {}, "system_cpu": 0.1,
        "generator_cpu": 0.01, "others_cpu": 0.0, "lag_p99": 0.0001, "memory_mb": 100.0,
        "requests_with_warm_up": max(1, len(latency)), "system_cpu_by_name": {"server": 0.1},
    }  # fmt: skip
    return Sample(**{**values, **changed})


def row(system: str, load: str, goodput: float, **changed: Any) -> dict[str, Any]:
    """A row of the result with this goodput."""
    spread = {"min": goodput, "max": goodput}
    return {
        "system": system, "load": load, "rps": goodput, "goodput_rps": goodput, "p50_ms": 5.0, "p99_ms": 20.0,
        "errors": 0, "rss_mb": 100, "sent": 1000, "postings_per_second": goodput, "cpu_ms_per_request": 0.5,
        "repeats": {"count": 1, "rps": spread, "goodput_rps": spread, "p50_ms": spread, "p99_ms": spread},
        **changed,
    }  # fmt: skip
