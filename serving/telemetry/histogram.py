"""A histogram that takes many values at once, for one thread.

The client library's own takes a lock and two attribute look-ups per value. Here all values come from the event loop,
which also renders them, and a batch brings many of them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

Labels = tuple[str, ...]


class Cells:
    """Counts of one combination of labels.

    Args:
        edges: Upper bounds of the buckets, ascending; the last one, infinity, is added.
    """

    __slots__ = ("_counts", "_edges", "_sum")

    def __init__(self, edges: Sequence[float]) -> None:
        self._edges = list(edges)
        self._counts = [0] * (len(edges) + 1)
        self._sum = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """Counts a value, as often as it came."""
        self._counts[bisect_left(self._edges, value)] += times
        self._sum += value * times

    def observe_all(self, values: Iterable[float]) -> None:
        """Counts each value."""
        counts, edges = self._counts, self._edges
        total = 0.0
        for value in values:
            counts[bisect_left(edges, value)] += 1
            total += value
        self._sum += total

    def buckets(self) -> tuple[list[tuple[str, float]], float]:
        """Cumulative counts by upper bound as Prometheus writes it, and the sum of the values."""
        cumulative: list[tuple[str, float]] = []
        seen = 0
        for edge, count in zip([*self._edges, float("inf")], self._counts, strict=True):
            seen += count
            cumulative.append((str(floatToGoString(edge)), float(seen)))  # type: ignore[no-untyped-call]
        return cumulative, self._sum


class LoopHistogram(Collector):
    """A histogram with labels, filled and read on the event loop."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str], edges: Sequence[float]) -> None:
        """Args:
        name: Of the metric.
        documentation: What it counts.
        labels: Names of its labels.
        edges: Upper bounds of its buckets, ascending.
        """
        self._name, self._documentation, self._labels = name, documentation, list(labels)
        self._edges = list(edges)
        self._cells: dict[Labels, Cells] = {}

    def cells(self, *values: str) -> Cells:
        """The counts of one combination of labels: to be looked up once."""
        return self._cells.setdefault(values, Cells(self._edges))

    def describe(self) -> list[HistogramMetricFamily]:
        """Its name, for the registry."""
        return [HistogramMetricFamily(self._name, self._documentation, labels=self._labels)]

    def collect(self) -> list[HistogramMetricFamily]:
        """Its state."""
        family = HistogramMetricFamily(self._name, self._documentation, labels=self._labels)
        for values, cells in self._cells.items():
            buckets, total = cells.buckets()
            family.add_metric(list(values), buckets, sum_value=total)
        return [family]
