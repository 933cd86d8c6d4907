"""What holds between objects: names, labels, selectors, ports, references, rights. Functions return what is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from chart_pods import LONG_RUNNING, Objects, Pod, matches, pods

_LABEL_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_FLOAT = re.compile(r"(?<![\w.])\d(\.\d+)?e\+\d\d(?![\w.])")
_CLUSTER_KINDS = ("ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "PriorityClass", "Namespace")
_COMMON_LABELS = ("app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component")
_LONGEST_CRONJOB = 52
"""A CronJob's Jobs get eleven more characters."""


def names(objects: Objects) -> list[str]:
    """Names are DNS labels of at most 63 characters and there once; labels are valid, and those of the chart there."""
    problems, seen = [], set()
    for item in objects:
        kind, name = item["kind"], item["metadata"]["name"]
        if (kind, name) in seen:
            problems.append(f"{kind}/{name} is there twice")
        seen.add((kind, name))
        longest = _LONGEST_CRONJOB if kind == "CronJob" else 63
        if kind not in _CLUSTER_KINDS and (not _DNS_LABEL.fullmatch(name) or len(name) > longest):
            problems.append(f"{kind}/{name} is no valid name")
        if kind not in _CLUSTER_KINDS and not item["metadata"].get("namespace"):
            problems.append(f"{kind}/{name} names no namespace")
        labels = item["metadata"].get("labels") or {}
        problems += [f"{kind}/{name} has no label {key}" for key in _COMMON_LABELS if not labels.get(key)]
        for where, entries in [(name, labels), *((pod.name, pod.labels) for pod in pods([item]))]:
            for key, value in entries.items():
                if not _LABEL_KEY.fullmatch(key) or not _LABEL_VALUE.fullmatch(str(value)):
                    problems.append(f"{kind}/{where} has the invalid label {key}={value}")
    return problems


def selectors(objects: Objects) -> list[str]:
    """Controllers, Services, disruption budgets and autoscalers choose what is there."""
    everything = list(objects)
    problems = []
    for item in everything:
        spec, name = item.get("spec") or {}, f"{item['kind']}/{item['metadata']['name']}"
        if item["kind"] in LONG_RUNNING and not matches(spec["selector"], spec["template"]["metadata"]["labels"]):
            problems.append(f"{name} does not select its own pods")
        chooses = item["kind"] in ("PodDisruptionBudget", "PodMonitor")
        if chooses and not any(matches(spec["selector"], pod.labels) for pod in pods(everything)):
            problems.append(f"{name} selects no pod")
        if item["kind"] == "ServiceMonitor":
            services = [other for other in everything if other["kind"] == "Service"]
            if not any(matches(spec["selector"], other["metadata"]["labels"]) for other in services):
                problems.append(f"{name} selects no Service")
        if item["kind"] == "HorizontalPodAutoscaler":
            target = spec["scaleTargetRef"]
            problems += [] if _there(everything, target["kind"], target["name"]) else [f"{name} scales nothing"]
    return problems


def services(objects: Objects) -> list[str]:
    """Every Service selects pods that listen on its target port; RayServices bring their own."""
    everything = list(objects)
    problems = []
    for item in everything:
        if item["kind"] != "Service" or item["spec"].get("type") == "ExternalName":
            continue
        name, selector = f"Service/{item['metadata']['name']}", item["spec"].get("selector") or {}
        chosen = [
            pod for pod in pods(everything) if selector and matches({"matchLabels": selector}, pod.labels)
        ]  # fmt: skip
        if not chosen:
            problems.append(f"{name} selects no pod")
        for port in item["spec"]["ports"]:
            target = port.get("targetPort", port["port"])
            problems += [
                f"{name}: {pod.name} has no port {target}"
                for pod in chosen
                if pod.long_running and target not in _ports(pod)
            ]
    return problems


def probe_ports(objects: Objects) -> list[str]:
    """A probe asks a port that its container has."""
    problems = []
    for pod in pods(objects):
        for container in pod.containers:
            own = {
                value for port in container.get("ports") or [] for value in (port["containerPort"], port.get("name"))
            }
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                for action in ("httpGet", "tcpSocket", "grpc"):
                    asked = (container.get(probe) or {}).get(action) or {}
                    if asked and asked["port"] not in own:
                        problems.append(
                            f"{pod.name}: {container['name']}: {probe} asks the unknown port {asked['port']}"
                        )
    return problems


def ingresses(objects: Objects) -> list[str]:
    """Every Ingress leads to a Service's port."""
    everything = list(objects)
    there = [item for item in everything if item["kind"] == "Service"]
    there += [item["spec"]["serveService"] for item in everything if item["kind"] == "RayService"]
    ports = {
        (item["metadata"]["name"], value)
        for item in there
        for port in item["spec"]["ports"]
        for value in (port["port"], port.get("name"))
    }
    problems = []
    for item in everything:
        if item["kind"] != "Ingress":
            continue
        for rule in item["spec"].get("rules", []):
            for path in rule["http"]["paths"]:
                service = path["backend"]["service"]
                port = service["port"].get("number") or service["port"].get("name")
                if (service["name"], port) not in ports:
                    problems.append(f"Ingress/{item['metadata']['name']} leads to {service['name']}:{port}")
    return problems


def rights(objects: Objects) -> list[str]:
    """Roles name what they allow, nothing reaches beyond the namespace, and every binding's ends are there."""
    everything = list(objects)
    problems = []
    for item in everything:
        name = f"{item['kind']}/{item['metadata']['name']}"
        if item["kind"] in ("ClusterRole", "ClusterRoleBinding"):
            problems.append(f"{name} reaches beyond the namespace")
        for rule in item.get("rules") or [] if item["kind"] in ("Role", "ClusterRole") else []:
            for part in ("apiGroups", "resources", "verbs"):
                if "*" in rule.get(part, []) or not rule.get(part):
                    problems.append(f"{name} has {part} without a name")
            if "secrets" in rule.get("resources", []) and not rule.get("resourceNames"):
                problems.append(f"{name} may read every Secret")
        if item["kind"] == "RoleBinding":
            if not _there(everything, item["roleRef"]["kind"], item["roleRef"]["name"]):
                problems.append(f"{name} gives a role that is not there")
            for subject in item["subjects"]:
                if not _there(everything, subject["kind"], subject["name"]):
                    problems.append(f"{name} is for {subject['name']}, which is not there")
    return problems


def references(objects: Objects, existing: Objects = ()) -> list[str]:
    """Every ConfigMap, Secret, key, claim and service account that a pod names is there, or is one of `existing`."""
    everything = [*objects, *existing]
    keys = {
        (item["kind"], item["metadata"]["name"]): {
            key for part in ("data", "stringData", "binaryData") for key in item.get(part) or {}
        }
        for item in everything
    }
    problems = []
    for pod in pods(objects):
        for kind, name, key, optional in _named(pod):
            if optional:
                continue
            if (kind, name) not in keys:
                problems.append(f"{pod.name} names {kind}/{name}, which is not there")
            elif key and key not in keys[kind, name]:
                problems.append(f"{pod.name} names the key {key} of {kind}/{name}, which is not there")
        for container in pod.containers:
            volumes = {volume["name"] for volume in pod.spec.get("volumes") or []}
            volumes |= {claim["metadata"]["name"] for claim in pod.owner["spec"].get("volumeClaimTemplates") or []}
            mounts = container.get("volumeMounts") or []
            problems += [
                f"{pod.name}: {container['name']} mounts the unknown volume {mount['name']}"
                for mount in mounts
                if mount["name"] not in volumes
            ]
            paths = [mount["mountPath"] for mount in mounts]
            if len(set(paths)) < len(paths):
                problems.append(f"{pod.name}: {container['name']} mounts twice at one path")
    return problems


def claims(objects: Objects) -> list[str]:
    """A claim that one pod alone may mount is not mounted by two: the strategy stops the old one first."""
    problems = []
    for item in objects:
        if item["kind"] == "Deployment":
            volumes = item["spec"]["template"]["spec"].get("volumes") or []
            claimed = any("persistentVolumeClaim" in volume for volume in volumes)
            if claimed and (item["spec"].get("strategy") or {}).get("type") != "Recreate":
                problems.append(f"Deployment/{item['metadata']['name']} has a claim, and a strategy that overlaps")
    return problems


def numbers(objects: Objects) -> list[str]:
    """Helm's engine prints large numbers as 1e+06 where a template writes them as they come."""
    return [
        f"{item['kind']}/{item['metadata']['name']} contains {found[0]}"
        for item in objects
        if item["kind"] != "CustomResourceDefinition"
        for text in _strings(item)
        if (found := _FLOAT.search(text)) and "dashboard" not in json.dumps(item["metadata"])
    ]


def _strings(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for value in node.values():
            yield from _strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from _strings(value)


def _ports(pod: Pod) -> set[Any]:
    return {
        value
        for container in pod.containers
        for port in container.get("ports") or []
        for value in (port["containerPort"], port.get("name"))
    }


def _there(objects: Objects, kind: str, name: str) -> bool:
    return any(item["kind"] == kind and item["metadata"]["name"] == name for item in objects)


def _named(pod: Pod) -> Iterator[tuple[str, str, str | None, bool]]:
    """Kind, name, key and `optional` of what a pod refers to."""
    spec = pod.spec
    yield "ServiceAccount", spec.get("serviceAccountName", ""), None, False
    for secret in spec.get("imagePullSecrets") or []:
        yield "Secret", secret["name"], None, False
    for volume in spec.get("volumes") or []:
        yield from _of_volume(volume)
        for source in (volume.get("projected") or {}).get("sources", []):
            yield from _of_volume(source)
    for container in pod.containers:
        for source in container.get("envFrom") or []:
            for kind, field in (("Secret", "secretRef"), ("ConfigMap", "configMapRef")):
                if field in source:
                    yield kind, source[field]["name"], None, bool(source[field].get("optional"))
        for variable in container.get("env") or []:
            for kind, field in (("Secret", "secretKeyRef"), ("ConfigMap", "configMapKeyRef")):
                reference = (variable.get("valueFrom") or {}).get(field)
                if reference:
                    yield kind, reference["name"], reference["key"], bool(reference.get("optional"))


def _of_volume(volume: dict[str, Any]) -> Iterator[tuple[str, str, str | None, bool]]:
    for kind, field, name in (("Secret", "secret", "secretName"), ("ConfigMap", "configMap", "name")):
        source = volume.get(field)
        if source:
            target = source.get(name) or source.get("name")
            optional = bool(source.get("optional"))
            yield kind, target, None, optional
            for item in source.get("items") or []:
                yield kind, target, item["key"], optional
    if "persistentVolumeClaim" in volume:
        yield "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"], None, False
