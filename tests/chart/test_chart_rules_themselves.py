"""Each rule sees what it is there for: a rendered object is broken, and the rule must complain."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_schemas
import policy_network
import policy_objects
import policy_platform
import policy_pods
import pytest
from chart_matrix import rendered
from chart_pods import pods

Objects = list[dict[str, Any]]


@pytest.fixture
def objects() -> Objects:
    return copy.deepcopy(rendered("default").objects)


def component(objects: Objects, kind: str, name: str) -> dict[str, Any]:
    """An object by its name in the release; a Job's may end with a digest of what the Job does."""
    pattern = re.compile(rf"pl-plumbline-{name}(-[0-9a-f]{{8}})?")
    return next(item for item in objects if item["kind"] == kind and pattern.fullmatch(item["metadata"]["name"]))


def serving(objects: Objects) -> dict[str, Any]:
    return component(objects, "Deployment", "serving")["spec"]["template"]["spec"]


def container(objects: Objects) -> dict[str, Any]:
    return serving(objects)["containers"][0]


def drop(objects: Objects, kind: str, name: str) -> None:
    objects.remove(component(objects, kind, name))


BREAKAGES: list[tuple[Callable[[Objects], list[str]], Callable[[Objects], Any], str]] = [
    (policy_pods.resources, lambda o: container(o)["resources"]["limits"].pop("memory"), "limits.memory"),
    (policy_pods.resources, lambda o: serving(o)["initContainers"][0].pop("resources"), "requests.cpu"),
    (policy_pods.probes, lambda o: container(o).pop("readinessProbe"), "readinessProbe"),
    (policy_pods.restricted, lambda o: container(o)["securityContext"].pop("capabilities"), "capabilities"),
    (policy_pods.restricted, lambda o: container(o)["securityContext"].update(runAsUser=0), "runAsUser"),
    (policy_pods.restricted, lambda o: container(o)["securityContext"].update(privileged=True), "privileged"),
    (
        policy_pods.restricted,
        lambda o: container(o)["securityContext"].pop("readOnlyRootFilesystem"),
        "root file system",
    ),
    (policy_pods.restricted, lambda o: serving(o).update(hostNetwork=True), "hostNetwork"),
    (
        policy_pods.restricted,
        lambda o: serving(o)["volumes"].append({"name": "x", "hostPath": {"path": "/"}}),
        "hostPath",
    ),
    (policy_pods.images, lambda o: container(o).update(image="localhost:5000/plumbline/serving"), "image"),
    (policy_pods.images, lambda o: container(o).update(image="plumbline/serving:latest"), "latest"),
    (policy_pods.tokens, lambda o: serving(o).update(automountServiceAccountToken=True), "automount"),
    (policy_pods.tokens, lambda o: serving(o).pop("enableServiceLinks"), "enableServiceLinks"),
    (
        policy_pods.jobs,
        lambda o: component(o, "Job", "bootstrap")["spec"].pop("activeDeadlineSeconds"),
        "activeDeadline",
    ),
    (policy_pods.unique, lambda o: container(o)["env"].append(container(o)["env"][0]), "twice"),
    (policy_objects.names, lambda o: o.append(copy.deepcopy(o[0])), "twice"),
    (policy_objects.names, lambda o: o[0]["metadata"].update(name="x" * 64), "no valid name"),
    (policy_objects.names, lambda o: o[0]["metadata"]["labels"].update(a="b c"), "invalid label"),
    (policy_objects.selectors, lambda o: serving_labels(o).update({"app.kubernetes.io/component": "x"}), "own pods"),
    (policy_objects.services, lambda o: drop(o, "Deployment", "serving"), "selects no pod"),
    (policy_objects.services, lambda o: container(o).update(ports=[]), "has no port"),
    (policy_objects.probe_ports, lambda o: container(o)["ports"][0].update(name="other"), "unknown port"),
    (policy_objects.rights, lambda o: component(o, "Role", "controller")["rules"][0].update(verbs=["*"]), "verbs"),
    (policy_objects.rights, lambda o: drop(o, "Role", "controller"), "not there"),
    (policy_objects.claims, lambda o: component(o, "Deployment", "controller")["spec"].pop("strategy"), "overlaps"),
    (policy_objects.numbers, lambda o: container(o).update(args=["--rows", "1e+06"]), "1e+06"),
    (policy_objects.references, lambda o: drop(o, "ConfigMap", "settings"), "ConfigMap/pl-plumbline-settings"),
    (policy_objects.references, lambda o: drop(o, "Secret", "postgres"), "Secret/pl-plumbline-postgres"),
    (policy_objects.references, lambda o: component(o, "Secret", "mlflow").update(data={}), "the key"),
    (policy_objects.references, lambda o: drop(o, "PersistentVolumeClaim", "controller"), "PersistentVolumeClaim"),
    (policy_objects.references, lambda o: drop(o, "ServiceAccount", "default"), "ServiceAccount"),
    (policy_objects.references, lambda o: serving(o).update(volumes=[]), "unknown volume"),
    (policy_network.covered, lambda o: [drop(o, "NetworkPolicy", n) for n in ("default-deny", "serving")], "denies"),
    (policy_network.covered, lambda o: drop(o, "NetworkPolicy", "dns"), "DNS"),
    (policy_network.twins, lambda o: drop(o, "NetworkPolicy", "redis"), "may not receive"),
    (policy_network.twins, lambda o: drop(o, "NetworkPolicy", "serving"), "may not send"),
    (policy_network.listening, lambda o: drop(o, "StatefulSet", "redis"), "nobody listens"),
    (
        policy_network.not_open,
        lambda o: component(o, "NetworkPolicy", "redis")["spec"]["ingress"].append({}),
        "everybody",
    ),
    (policy_network.credentials_reach, lambda o: drop(o, "NetworkPolicy", "mlflow"), "may not speak to mlflow"),
    (policy_platform.commands, lambda o: container(o).update(args=["serve", "runn"]), "runn"),
    (policy_platform.commands, lambda o: container(o)["args"].append("--nonsense"), "nonsense"),
    (lambda o: kubernetes_schemas.check(o, "1.30.0"), lambda o: serving(o).update(containerz=[]), "containerz"),
    (lambda o: kubernetes_schemas.check(o, "1.37.0"), lambda o: container(o).update(args="run"), "args"),
]


def serving_labels(objects: Objects) -> dict[str, str]:
    return component(objects, "Deployment", "serving")["spec"]["template"]["metadata"]["labels"]


@pytest.mark.parametrize(("rule", "break_it", "complaint"), BREAKAGES)
def test_rule_complains(objects, rule, break_it, complaint):
    break_it(objects)
    assert any(complaint in problem for problem in rule(objects)), rule(objects)


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("PLUMBLINE_SERVING__PORTT", "1", "PLUMBLINE_SERVING__PORTT"),
        ("PLUMBLINE_NONSENSE", "1", "PLUMBLINE_NONSENSE"),
        ("PLUMBLINE_SERVING__PORT", "many", "PLUMBLINE_SERVING__PORT"),
    ],
)
def test_wrong_environment_is_seen(objects, tmp_path: Path, name, value, complaint):
    container(objects).setdefault("env", []).append({"name": name, "value": value})
    assert any(complaint in problem for problem in policy_platform.settings(objects, tmp_path))


def test_wrong_settings_file_is_seen(objects, tmp_path: Path):
    settings = component(objects, "ConfigMap", "settings")
    settings["data"]["plumbline.yaml"] += "\nserving_port: 1\n"
    assert any("serving_port" in problem for problem in policy_platform.settings(objects, tmp_path))


def test_a_password_in_the_settings_file_is_seen(objects, tmp_path: Path):
    settings = component(objects, "ConfigMap", "settings")
    text = settings["data"]["plumbline.yaml"].replace(
        "postgresql+psycopg://plumbline@", "postgresql+psycopg://u:secret@"
    )
    settings["data"]["plumbline.yaml"] = text
    assert any("registry_url" in problem for problem in policy_platform.settings(objects, tmp_path))


def test_a_ray_worker_without_readiness_is_seen():
    objects = copy.deepcopy(rendered("rayservice-gpu").objects)
    service = next(item for item in objects if item["kind"] == "RayService")
    group = service["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]
    group["template"]["spec"]["containers"][0].pop("readinessProbe")
    assert any("ray-worker has no readinessProbe" in problem for problem in policy_pods.probes(objects))


def test_every_kind_of_pod_is_looked_at():
    kinds = {pod.owner["kind"] for name in ("default", "rayservice-gpu") for pod in pods(rendered(name).objects)}
    assert kinds == {"Deployment", "StatefulSet", "Job", "CronJob", "Pod", "RayService"}
