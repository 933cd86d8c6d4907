"""The profiles keep what they promise."""

from __future__ import annotations

import pytest
from chart_matrix import rendered, values_of
from chart_pods import COMPONENT, LONG_RUNNING, pods, requested
from helm_engine import Render, merge, render

GIB = 2**30


def sums(rendered: Render) -> tuple[float, float]:
    """Cores and GiB that everything asks for together: every Job, CronJob and test at the same moment."""
    there = list(pods(rendered.objects))
    cpu = sum(requested(pod, "cpu") * pod.replicas for pod in there)
    memory = sum(requested(pod, "memory") * pod.replicas for pod in there)
    return cpu, memory / GIB


@pytest.fixture(scope="module")
def without_pipelines_and_grafana() -> Render:
    return render(merge(values_of("lite"), {"kfp": {"enabled": False}, "grafana": {"enabled": False}}))


def test_lite_fits_a_small_node():
    cpu, memory = sums(rendered("lite"))
    assert cpu <= 3.5
    assert memory <= 7


def test_lite_without_pipelines_and_grafana_is_smaller_still(without_pipelines_and_grafana):
    cpu, memory = sums(without_pipelines_and_grafana)
    assert cpu <= 1.8
    assert memory <= 6


def test_lite_has_every_part():
    components = {pod.component for pod in pods(rendered("lite").objects)}
    assert components >= {
        "postgres", "redis", "objectstore", "mlflow", "serving", "controller", "exporter", "evidently", "monitor",
        "refresh", "bootstrap", "prometheus", "alertmanager", "grafana", "kfp-api", "kfp-argo",
    }  # fmt: skip


def test_production_keeps_no_state_in_the_cluster_that_has_a_service_elsewhere():
    components = {pod.component for pod in pods(rendered("production").objects)}
    assert not components & {"postgres", "redis", "objectstore", "prometheus"}


def test_production_survives_the_loss_of_a_node():
    production = rendered("production")
    budgets = {item["metadata"]["labels"][COMPONENT] for item in production.of_kind("PodDisruptionBudget")}
    for pod in pods(production.objects):
        if pod.owner["kind"] in LONG_RUNNING and pod.component in ("serving", "mlflow", "feature-server"):
            assert pod.replicas >= 2, pod.name
            assert pod.spec["topologySpreadConstraints"], pod.name
            assert pod.component in budgets, pod.name


def test_production_generates_no_credential_and_hands_its_rules_to_the_operator():
    production = rendered("production")
    assert production.of_kind("Secret") == []
    assert production.of_kind("ServiceMonitor")
    assert production.of_kind("PrometheusRule")
    assert production.of_kind("Certificate")


def test_defaults_ask_for_no_pdb_that_keeps_a_node_from_being_drained():
    for item in rendered("default").of_kind("PodDisruptionBudget"):
        component = item["metadata"]["labels"][COMPONENT]
        replicas = max(pod.replicas for pod in pods(rendered("default").objects) if pod.component == component)
        assert replicas > 1 or "maxUnavailable" in item["spec"], item["metadata"]["name"]
