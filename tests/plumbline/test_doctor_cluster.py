"""The doctor's questions to a cluster, and what it says to the answers."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes_double import KubernetesDouble, running_kubernetes

from plumbline.cluster.finding import Finding
from plumbline.cluster.fitness import examine, quantity
from plumbline.cluster.kubeconfig import connect

_NODES, _PODS = "/api/v1/nodes", "/api/v1/pods"
_NODE_INFO = (
    "bootID", "containerRuntimeVersion", "kernelVersion", "kubeProxyVersion", "kubeletVersion", "machineID",
    "operatingSystem", "osImage", "systemUUID",
)  # fmt: skip
_CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


def _list(*items: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "List", "apiVersion": "v1", "items": list(items)}


def _node(
    name: str, *, ready: bool = True, taints: tuple[str, ...] = (), architecture: str = "amd64"
) -> dict[str, Any]:
    info = {"architecture": architecture, **dict.fromkeys(_NODE_INFO, "x")}
    return {
        "metadata": {"name": name},
        "spec": {"taints": [{"key": "k", "effect": effect} for effect in taints]},
        "status": {
            "allocatable": {"cpu": "3900m", "memory": "8Gi"},
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "nodeInfo": info,
        },
    }


def _pod(node: str, cpu: str) -> dict[str, Any]:
    container = {"name": "c", "resources": {"requests": {"cpu": cpu, "memory": "512Mi"}}}
    return {"metadata": {"name": "p"}, "spec": {"nodeName": node, "containers": [container, {"name": "d"}]}}


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KubernetesDouble]:
    with running_kubernetes(tmp_path) as (double, config):
        monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(config))
        monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
        marked = {"storageclass.kubernetes.io/is-default-class": "true"}
        double.resources = {
            "/version": {
                **dict.fromkeys(("buildDate", "compiler", "gitCommit", "gitTreeState", "goVersion", "platform"), "x"),
                "major": "1",
                "minor": "34+",
                "gitVersion": "v1.34.2",
            },
            _NODES: _list(_node("one"), _node("away", ready=False), _node("control", taints=("NoSchedule",))),
            _PODS: _list(_pod("one", "100m"), _pod("control", "1")),
            _CLASSES: _list({"metadata": {"name": "fast", "annotations": marked}, "provisioner": "p"}),
            "/api/v1/namespaces/ml": {"metadata": {"name": "ml", "labels": {}}},
            "/apis": {"groups": [{"name": "ray.io", "versions": [{"groupVersion": "ray.io/v1", "version": "v1"}]}]},
            _REVIEWS: lambda body: {**body, "status": {"allowed": True}},
        }
        yield double


def _findings(cpus: float = 3.5, gib: float = 7.0) -> dict[str, Finding]:
    return {each.check: each for each in examine(connect(), "ml", cpus=cpus, gib=gib)}


def test_a_fit_cluster_has_no_problem(cluster: KubernetesDouble) -> None:
    found = _findings()
    assert [each for each in found.values() if each.verdict == "problem"] == []
    assert found["room"].found.startswith("3.8 CPUs and 7.5 GiB free on 1 nodes")
    assert (found["ray.io"].found, found["cert-manager.io"].found) == ("present", "not present")
    assert found["network policies"].verdict == "warning"
    assert "enforces nothing" in found["pod security"].found


def test_each_lack_is_a_problem_with_advice(cluster: KubernetesDouble) -> None:
    cluster.resources["/version"] |= {"minor": "29"}
    cluster.resources[_PODS] = _list(_pod("one", "600m"))
    cluster.resources[_CLASSES] = _list({"metadata": {"name": "slow"}, "provisioner": "p"})
    cluster.resources[_REVIEWS] = lambda body: {
        **body,
        "status": {"allowed": body["spec"]["resourceAttributes"]["resource"] != "secrets"},
    }
    problems = {name: each for name, each in _findings().items() if each.verdict == "problem"}
    assert set(problems) == {"version", "storage class", "room", "permissions"}
    assert all(each.advice for each in problems.values())
    assert "create secrets in ml" in problems["permissions"].found
    assert "no default (slow)" in problems["storage class"].found
    assert _findings(cpus=3.0)["room"].verdict == "ok"


@pytest.mark.parametrize(
    ("architectures", "verdict", "advice"),
    [
        (("amd64", "amd64"), "ok", ""),
        (("arm64",), "warning", "kfp.enabled=false"),
        (("amd64", "arm64"), "warning", "nodeSelector"),
    ],
)
def test_nodes_that_kubeflows_images_do_not_run_on(
    cluster: KubernetesDouble, architectures: tuple[str, ...], verdict: str, advice: str
) -> None:
    nodes = [_node(f"n{number}", architecture=each) for number, each in enumerate(architectures)]
    cluster.resources[_NODES] = _list(*nodes)
    found = _findings()["architecture"]
    assert found.verdict == verdict
    assert advice in found.advice


def test_what_may_not_be_asked_is_a_warning(cluster: KubernetesDouble) -> None:
    del cluster.resources[_NODES]
    assert _findings()["room"].verdict == "warning"


def test_an_api_that_does_not_answer_is_the_one_finding(cluster: KubernetesDouble) -> None:
    cluster.away = True
    (found,) = _findings().values()
    assert (found.check, found.verdict) == ("api", "problem")
    assert "503" in found.found


@pytest.mark.parametrize(
    ("text", "number"), [("2", 2.0), ("250m", 0.25), ("1Gi", 2.0**30), ("1500k", 1.5e6), ("1e3", 1e3)]
)
def test_quantities_are_read(text: str, number: float) -> None:
    assert quantity(text) == pytest.approx(number)


def test_without_a_kubeconfig_it_says_so(
    run_plumbline: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    done = run_plumbline("doctor", "--cluster", env={"KUBECONFIG": str(tmp_path / "none")})
    assert done.returncode == 2
    assert "Set KUBECONFIG" in done.stderr
    wrong = run_plumbline("doctor", "--namespace", "x")
    assert (wrong.returncode, "belong to --cluster" in wrong.stderr) == (2, True)
