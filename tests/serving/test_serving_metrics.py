"""What `/metrics` counts, where rules and dashboards depend on it."""

from __future__ import annotations

from pathlib import Path

from serving.telemetry.metrics import Metrics


def _page(metrics: Metrics) -> list[str]:
    return metrics.exposition().decode().splitlines()


def test_only_answers_inside_the_budget_count_as_such(tmp_path: Path) -> None:
    metrics = Metrics(budget_seconds=0.05, spool=tmp_path)
    for seconds in (0.01, 0.05, 0.051):
        metrics.answered(seconds, 0.001, 0.001, [])
    metrics.refused(503)
    page = _page(metrics)
    assert "plumbline_within_budget_total 2.0" in page
    assert "plumbline_request_seconds_count 3.0" in page
    # The same, as the histogram has it: the budget is one of its edges.
    assert 'plumbline_request_seconds_bucket{le="0.05"} 2.0' in page


def test_failures_are_there_before_the_first(tmp_path: Path) -> None:
    page = _page(Metrics(budget_seconds=0.05, spool=tmp_path))
    assert 'plumbline_requests_total{status="500"} 0.0' in page
    assert 'plumbline_requests_total{status="503"} 0.0' in page
    assert 'plumbline_model_loads_total{outcome="failed"} 0.0' in page


def test_the_process_is_measured(tmp_path: Path) -> None:
    names = {line.split(" ")[0] for line in _page(Metrics(budget_seconds=0.05, spool=tmp_path))}
    assert {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds"} <= names
