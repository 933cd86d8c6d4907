"""What `/metrics` counts, where rules and dashboards depend on it."""

from __future__ import annotations

from prometheus_client import Gauge
from prometheus_client.parser import text_string_to_metric_families

from serving.telemetry.metrics import Metrics, Variant

STAGES = {"features": 0.001, "encode": 0.002, "model": 0.003}


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.exposition().decode())
        for sample in family.samples
    }


def test_only_answers_inside_the_budget_count_as_such() -> None:
    metrics = Metrics({"a": 0.05})
    metrics.lane("a").answered([0.01, 0.05, 0.051], queue=[0.0] * 3, stages=STAGES)
    page = samples(metrics)
    assert page["plumbline_within_budget_total", (("model", "a"),)] == 2
    assert page["plumbline_request_seconds_count", (("model", "a"),)] == 3
    # The same, as the histogram has it: the budget is one of its edges.
    assert page["plumbline_request_seconds_bucket", (("le", "0.05"), ("model", "a"))] == 2
    assert page["plumbline_requests_total", (("model", "a"), ("reason", ""), ("status", "200"))] == 3
    assert page["plumbline_batch_size_sum", (("model", "a"),)] == 3
    assert page["plumbline_stage_seconds_count", (("model", "a"), ("stage", "encode"))] == 3
    assert page["plumbline_stage_seconds_count", (("model", "a"), ("stage", "queue"))] == 3


def test_each_models_budget_is_an_edge() -> None:
    metrics = Metrics({"a": 0.05, "b": 0.3})
    metrics.lane("b").answered([0.3, 0.31], queue=[0.0] * 2, stages=STAGES)
    page = samples(metrics)
    assert page["plumbline_request_seconds_bucket", (("le", "0.3"), ("model", "b"))] == 1
    assert page["plumbline_latency_budget_seconds", (("model", "b"),)] == 0.3
    assert page["plumbline_within_budget_total", (("model", "a"),)] == 0


def test_failures_are_there_before_the_first() -> None:
    page = samples(Metrics({"a": 0.05}))
    for status, reason in (("500", "prediction-failed"), ("503", "overloaded"), ("504", "budget-exceeded")):
        assert page["plumbline_requests_total", (("model", "a"), ("reason", reason), ("status", status))] == 0
    assert page["plumbline_model_loads_total", (("model", "a"), ("outcome", "failed"))] == 0


def test_what_is_in_memory_is_said_once_for_all_models() -> None:
    metrics = Metrics({"a": 0.05, "b": 0.05})
    metrics.lane("a").watch(lambda: [Variant("champion", "champion", "3"), Variant("canary", "canary", "4")], lambda: 2)
    metrics.lane("b").watch(lambda: [Variant("champion", "stable", "1")], lambda: 0)
    text = metrics.exposition().decode()
    assert text.count("# TYPE plumbline_model gauge") == 1
    page = samples(metrics)
    assert page["plumbline_model", (("alias", "canary"), ("name", "a"), ("role", "canary"), ("version", "4"))] == 1
    assert page["plumbline_model", (("alias", "stable"), ("name", "b"), ("role", "champion"), ("version", "1"))] == 1
    assert page["plumbline_waiting", (("model", "a"),)] == 2


def test_releases_features_and_refusals_are_counted() -> None:
    metrics = Metrics({"a": 0.05})
    lane = metrics.lane("a")
    lane.refused(429, "rate-limited")
    lane.degraded("features_late", 2)
    lane.feature_age("company_stats", 7200.0)
    lane.variant_answered("canary", 5)
    lane.shadow_dropped()
    lane.loaded("failed")
    page = samples(metrics)
    assert page["plumbline_requests_total", (("model", "a"), ("reason", "rate-limited"), ("status", "429"))] == 1
    assert page["plumbline_degraded_total", (("model", "a"), ("reason", "features_late"))] == 2
    assert page["plumbline_feature_age_seconds_sum", (("model", "a"), ("view", "company_stats"))] == 7200
    assert page["plumbline_variant_answers_total", (("model", "a"), ("role", "canary"))] == 5
    assert page["plumbline_shadow_dropped_total", (("model", "a"),)] == 1
    assert page["plumbline_model_loads_total", (("model", "a"), ("outcome", "failed"))] == 1


def test_other_parts_add_their_own_series() -> None:
    metrics = Metrics({"a": 0.05})
    gauge = Gauge("plumbline_spool_bytes", "Some.", registry=None)
    gauge.set(7)
    metrics.register(gauge)
    assert samples(metrics)["plumbline_spool_bytes", ()] == 7


def test_the_process_is_measured() -> None:
    names = {name for name, _ in samples(Metrics({"a": 0.05}))}
    assert {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds"} <= names
