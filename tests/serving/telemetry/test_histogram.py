"""The loop's histogram against the client library's own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from serving.telemetry.histogram import LoopHistogram

EDGES = (0.01, 0.05, 0.1, 1.0)


def exposition(values: list[float], *, ours: bool) -> list[str]:
    registry = CollectorRegistry()
    if ours:
        histogram = LoopHistogram("seconds", "Some.", ["model"], EDGES)
        registry.register(histogram)
        histogram.cells("a").observe_all(values)
    else:
        theirs = Histogram("seconds", "Some.", ["model"], buckets=EDGES, registry=registry)
        child = theirs.labels("a")
        for value in values:
            child.observe(value)
    return [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]


@given(st.lists(st.one_of(st.sampled_from(EDGES), st.floats(0, 10))))
def test_it_counts_as_the_client_library_does(values: list[float]) -> None:
    assert exposition(values, ours=True) == exposition(values, ours=False)


def test_a_value_that_came_often_is_counted_as_often() -> None:
    histogram = LoopHistogram("seconds", "Some.", ["model"], EDGES)
    histogram.cells("a").observe(0.5, 7)
    buckets, total = histogram.cells("a").buckets()
    assert buckets == [("0.01", 0.0), ("0.05", 0.0), ("0.1", 0.0), ("1.0", 7.0), ("+Inf", 7.0)]
    assert total == 3.5
