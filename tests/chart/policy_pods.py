"""What every pod must be: bounded, probed, unprivileged, from a pinned image. Each function returns what is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from chart_pods import Objects, Pod, pods

TOKEN_COMPONENTS = frozenset(
    {"controller", "kfp-api", "kfp-argo", "kfp-persistence", "kfp-schedule", "kfp-ui"}
)  # fmt: skip
"""Components that speak to Kubernetes, and therefore mount a service account's token."""

UNPROBED = {"kfp-persistence": ("livenessProbe",)}
"""Probes that a component cannot have: this one opens no port; it ends when it loses the API server."""

_VOLUME_KINDS = frozenset(
    {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
)


def resources(objects: Objects) -> list[str]:
    """Every container asks for CPU and memory, and its memory is bounded."""
    problems = []
    for pod, container in _containers(objects):
        given = container.get("resources") or {}
        for part, name in (("requests", "cpu"), ("requests", "memory"), ("limits", "memory")):
            if name not in (given.get(part) or {}):
                problems.append(f"{pod.name}: {container['name']} has no {part}.{name}")
    return problems


def probes(objects: Objects) -> list[str]:
    """Every container that runs on is asked whether it is ready and whether it lives.

    KubeRay probes Ray's containers itself, but a worker's readiness by a program that the image need not have.
    """
    problems = [
        f"{pod.name}: {container['name']} has no readinessProbe"
        for pod in pods(objects)
        for container in pod.spec["containers"]
        if container["name"] == "ray-worker" and "readinessProbe" not in container
    ]
    for pod in pods(objects):
        for container in pod.spec["containers"] if pod.long_running else ():
            for probe in ("readinessProbe", "livenessProbe"):
                if probe not in container and probe not in UNPROBED.get(pod.component, ()):
                    problems.append(f"{pod.name}: {container['name']} has no {probe}")
    return problems


def restricted(objects: Objects) -> list[str]:
    """Pod Security Standards, profile `restricted`, and a root file system that is read-only."""
    problems = []
    for pod in pods(objects):
        problems += [f"{pod.name}: {problem}" for problem in _restricted_pod(pod)]
        for container in pod.containers:
            found = _restricted_container(pod, container)
            problems += [f"{pod.name}: {container['name']}: {problem}" for problem in found]
    return problems


def _restricted_pod(pod: Pod) -> Iterator[str]:
    spec = pod.spec
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(field):
            yield f"{field} is forbidden"
    for volume in spec.get("volumes") or []:
        kinds = volume.keys() - {"name"}
        if not kinds <= _VOLUME_KINDS:
            yield f"the volume {volume['name']} is of a forbidden kind: {', '.join(sorted(kinds))}"
    if (spec.get("securityContext") or {}).get("runAsUser") == 0:
        yield "runAsUser is 0"
    if (spec.get("securityContext") or {}).get("sysctls"):
        yield "sysctls are set"


def _restricted_container(pod: Pod, container: dict[str, Any]) -> Iterator[str]:
    whole = pod.spec.get("securityContext") or {}
    own = container.get("securityContext") or {}
    if own.get("privileged"):
        yield "it is privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation is not false"
    if own.get("runAsNonRoot", whole.get("runAsNonRoot")) is not True:
        yield "runAsNonRoot is not true"
    if own.get("runAsUser", whole.get("runAsUser")) == 0:
        yield "runAsUser is 0"
    if (own.get("seccompProfile") or whole.get("seccompProfile") or {}).get("type") not in (
        "RuntimeDefault",
        "Localhost",
    ):
        yield "it has no seccomp profile"
    capabilities = own.get("capabilities") or {}
    if "ALL" not in capabilities.get("drop", []):
        yield "capabilities are not dropped"
    if set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
        yield "capabilities are added"
    if own.get("procMount", "Default") != "Default":
        yield "procMount is set"
    if any("hostPort" in port for port in container.get("ports") or []):
        yield "it takes a port of the host"
    if own.get("readOnlyRootFilesystem") is not True:
        yield "its root file system can be written"


def images(objects: Objects) -> list[str]:
    """Every image has a tag or a digest, and the tag is not `latest`."""
    problems = []
    for pod, container in _containers(objects):
        name = container["image"].rpartition("/")[2]
        tag = name.partition("@")[2] or name.partition(":")[2]
        if not tag or tag == "latest" or not re.fullmatch(r"[\w.-]+|sha256:[0-9a-f]{64}", tag):
            problems.append(f"{pod.name}: {container['name']} has the image {container['image']}")
    return problems


def tokens(objects: Objects) -> list[str]:
    """No service links, and a token only for those who need one."""
    problems = []
    for pod in pods(objects):
        if pod.spec.get("enableServiceLinks") is not False:
            problems.append(f"{pod.name}: enableServiceLinks is not false")
        scales = any(container["name"] == "autoscaler" for container in pod.containers)
        needed = scales or pod.component in TOKEN_COMPONENTS
        if pod.spec.get("automountServiceAccountToken") is not needed:
            problems.append(f"{pod.name}: automountServiceAccountToken is not {needed}")
        if not pod.spec.get("serviceAccountName"):
            problems.append(f"{pod.name}: it runs as the namespace's default service account")
    return problems


def unique(objects: Objects) -> list[str]:
    """No name twice in a list that Kubernetes merges by name: server-side apply, Helm 4's way, refuses that."""
    problems = []
    for pod in pods(objects):
        lists = {"volumes": pod.spec.get("volumes"), "containers": pod.containers}
        for container in pod.containers:
            for field in ("env", "ports"):
                lists[f"{container['name']}.{field}"] = container.get(field)
        for field, items in lists.items():
            names = [item["name"] for item in items or []]
            problems += [f"{pod.name}: {field} has {name} twice" for name in sorted({*names}) if names.count(name) > 1]
    return problems


def jobs(objects: Objects) -> list[str]:
    """A Job ends in bounded time; one that is no hook is removed after a while."""
    problems = []
    for item in objects:
        spec = item.get("spec") or {}
        if item["kind"] == "CronJob":
            spec = spec["jobTemplate"]["spec"]
        if item["kind"] not in ("Job", "CronJob"):
            continue
        name = f"{item['kind']}/{item['metadata']['name']}"
        if "activeDeadlineSeconds" not in spec:
            problems.append(f"{name} has no activeDeadlineSeconds")
        if "backoffLimit" not in spec:
            problems.append(f"{name} has no backoffLimit")
        if spec["template"]["spec"].get("restartPolicy") not in ("Never", "OnFailure"):
            problems.append(f"{name} has no restartPolicy for a Job")
    return problems


def _containers(objects: Objects) -> Iterator[tuple[Pod, dict[str, Any]]]:
    for pod in pods(objects):
        for container in pod.containers:
            yield pod, container
