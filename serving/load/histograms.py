"""HDR histograms of latencies: percentiles without sampling error, and the log that HdrHistogram's own tools read."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogWriter
from numpy.typing import NDArray

from serving.load.exchanges import Exchanges

_HIGHEST_MICROSECONDS = 3_600_000_000
_DIGITS = 3
_MICROSECONDS_PER_MILLISECOND = 1000.0


class Latencies:
    """Latencies in an HDR histogram of microseconds, three digits."""

    def __init__(self, seconds: NDArray[np.float64]) -> None:
        self.histogram = HdrHistogram(1, _HIGHEST_MICROSECONDS, _DIGITS)
        microseconds = np.clip(np.rint(seconds * 1e6), 1, _HIGHEST_MICROSECONDS).astype(np.int64)
        for value, count in zip(*np.unique(microseconds, return_counts=True), strict=True):
            self.histogram.record_value(int(value), int(count))

    def percentile_ms(self, percentile: float) -> float | None:
        """Milliseconds; None where there is no latency."""
        if not self.histogram.get_total_count():
            return None
        return float(self.histogram.get_value_at_percentile(percentile)) / _MICROSECONDS_PER_MILLISECOND

    def max_ms(self) -> float | None:
        """Milliseconds; None where there is no latency."""
        return self.percentile_ms(100.0)

    def mean_ms(self) -> float | None:
        """Milliseconds; None where there is no latency."""
        if not self.histogram.get_total_count():
            return None
        return round(float(self.histogram.get_mean_value()) / _MICROSECONDS_PER_MILLISECOND, 3)

    def curve(self) -> list[tuple[float, float]]:
        """Points (percentile, milliseconds), evenly spaced in the number of nines, as far as the count goes."""
        count = self.histogram.get_total_count()
        if not count:
            return []
        nines = np.arange(0, np.log10(max(count, 10)) + 1e-9, 0.05)
        points = [(float(100 * (1 - 10.0**-nine)), 0.0) for nine in nines]
        return [(percentile, self.percentile_ms(percentile) or 0.0) for percentile, _ in points]


def write_log(path: Path, measured: Exchanges, *, started_at: float) -> None:
    """Writes one histogram per second of due times, in the format of HdrHistogram's log (version 1.2).

    Args:
        path: File to write; its folder is made.
        measured: Requests; only answered ones have a latency.
        started_at: Seconds since 1970 of the instant from which due times count.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    answered = measured.answered
    due, latency = measured.due[answered], measured.latency[answered]
    with path.open("w", encoding="utf-8") as file:
        writer = HistogramLogWriter(file)
        writer.output_comment("[Latency from the intended send time, microseconds, by second of it]")
        writer.output_log_format_version()
        # The writer's own line for the start is wrong by a factor of 1000, and fails.
        instant = datetime.fromtimestamp(started_at, UTC).isoformat()
        file.write(f"#[StartTime: {started_at:.3f} (seconds since epoch), {instant}]\n")
        writer.output_legend()
        seconds = np.floor(due).astype(np.int64)
        for second in np.unique(seconds):
            one = Latencies(latency[seconds == second]).histogram
            start = started_at + float(second)
            writer.output_interval_histogram(one, start, start + 1, _MICROSECONDS_PER_MILLISECOND)
