"""Every fixed threshold of the rules, with its source. What differs between installations is in `parameters`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Burn:
    """One pair of windows of a burn-rate alert.

    Attributes:
        long: Window that shows that enough of the error budget has gone.
        short: Window that shows that it is still going; a twelfth of the long one.
        factor: How many times faster than the objective allows.
    """

    long: str
    short: str
    factor: float


FAST_BURNS = (Burn("1h", "5m", 14.4), Burn("6h", "30m", 6))
SLOW_BURNS = (Burn("1d", "2h", 3), Burn("3d", "6h", 1))
"""The Site Reliability Workbook, chapter 5, "multiwindow, multi-burn-rate alerts", table of recommended parameters:
2% of a 30-day error budget in an hour, 5% in six hours (somebody is called); 10% in one and in three days."""

MIN_REQUESTS = 100
"""Requests in the long window below which a ratio says nothing: one request would be 1% or more."""

SHED_SHARE = 0.01
"""Share of requests refused with 503. Admission refuses only while a queue grows, so ordinary load refuses none
(docs/serving.md, "Measured": 0 up to 463 requests/s on two cores, a few thousandths at the edge of capacity)."""

DEGRADED_SHARE = 0.05
"""Share of answers with defaults for features: single late reads are ordinary on a busy machine
(docs/serving.md, "Measured"), one in twenty means that the online store is slow, away or not materialised."""

SPOOL_SEGMENTS = 3
"""Segments on a pod's disk. One is open; a closed one is shipped within `log.ship_seconds` (5 s)."""

SPOOL_BYTES = 256 * 1024 * 1024
"""Bytes on a pod's disk: 16 full segments (`log.segment_bytes`). A full disk makes serving refuse requests."""

MISSED_RUNS = 2
"""Intervals without a finished monitor run: one run may fail or be late, two in a row are none."""

RESTARTS = 3
"""Starts of one process within an hour: Kubernetes' back-off reaches its longest pause after as many minutes."""
