"""The prediction log's metrics. Read when somebody asks: counting them costs the answers nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from serving.prediction_log.log import PredictionLog
from serving.prediction_log.segments import sizes_of
from serving.prediction_log.shipping_state import read_state


class LogCollector(Collector):
    """Register it where `/metrics` is made."""

    def __init__(self, log: PredictionLog) -> None:
        self._log = log

    def collect(self) -> Iterator[Metric]:
        """Families with the values of now."""
        log = self._log
        yield CounterMetricFamily("plumbline_log_records", "Records written.", value=log.records)
        left_out = CounterMetricFamily(
            "plumbline_log_left_out", "Answers without a record, by reason.", labels=["reason"]
        )
        for reason, count in log.left_out.items():
            left_out.add_metric([reason], count)
        yield left_out
        yield GaugeMetricFamily("plumbline_log_kept_share", "Share of the requests that is kept now.", value=log.share)

        sizes = sizes_of(log.directory)
        yield GaugeMetricFamily("plumbline_log_spool_segments", "Segments not shipped yet.", value=len(sizes))
        yield GaugeMetricFamily("plumbline_log_spool_bytes", "Bytes not shipped yet.", value=sum(sizes.values()))
        yield GaugeMetricFamily(
            "plumbline_log_oldest_segment_seconds",
            "Age of the oldest segment that holds something and is not shipped yet; 0 where there is none.",
            value=_oldest(sizes),
        )

        state = read_state(log.directory)
        yield CounterMetricFamily(
            "plumbline_log_shipping_failures", "Rounds in which the object store took not all.", value=state.failures
        )
        yield CounterMetricFamily(
            "plumbline_log_damaged_files", "Files set aside because they cannot be understood.", value=state.damaged
        )


def _oldest(sizes: dict[str, int]) -> float:
    opened = [name.partition("-")[0] for name, size in sizes.items() if size]
    if not opened:
        return 0.0
    first = datetime.strptime(min(opened), "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    return max(0.0, (datetime.now(UTC) - first).total_seconds())
