"""What an upgrade may not change, because Kubernetes refuses it or data would be lost. Returns what is wrong."""

from __future__ import annotations

import json
from typing import Any

from chart_pods import Objects, quantity

_IMMUTABLE: dict[str, tuple[str, ...]] = {
    "Deployment": ("spec.selector",),
    "DaemonSet": ("spec.selector",),
    "StatefulSet": ("spec.selector", "spec.serviceName", "spec.podManagementPolicy", "spec.volumeClaimTemplates"),
    "Job": ("spec.selector", "spec.template", "spec.completions", "spec.completionMode"),
    "PersistentVolumeClaim": ("spec.accessModes", "spec.storageClassName", "spec.selector", "spec.volumeName"),
    "RoleBinding": ("roleRef",),
    "ClusterRoleBinding": ("roleRef",),
    "Service": ("spec.clusterIP",),
}
_KEPT = ("PersistentVolumeClaim",)


def immutable(before: Objects, after: Objects) -> list[str]:
    """Fields that Kubernetes does not let change, claims that would shrink or go, Secrets that would be forgotten."""
    new = {(item["kind"], item["metadata"]["name"]): item for item in after}
    problems = []
    for old in before:
        name = f"{old['kind']}/{old['metadata']['name']}"
        if _is_hook(old):  # made anew each time
            continue
        item = new.get((old["kind"], old["metadata"]["name"]))
        if item is None:
            if old["kind"] in _KEPT and not _stays(old):
                problems.append(f"{name} would be deleted, with its data")
            continue
        for path in _IMMUTABLE.get(old["kind"], ()):
            if _at(old, path) != _at(item, path):
                problems.append(f"{name}: {path} would change")
        if old["kind"] == "PersistentVolumeClaim" and _size(item) < _size(old):
            problems.append(f"{name} would shrink")
        if old["kind"] == "Secret" and not _keys(old) <= _keys(item):
            problems.append(f"{name} would lose {sorted(_keys(old) - _keys(item))}")
    return problems


def _at(item: dict[str, Any], path: str) -> str:
    node: Any = item
    for name in path.split("."):
        node = (node or {}).get(name)
    return json.dumps(node, sort_keys=True)


def _size(item: dict[str, Any]) -> float:
    return quantity(item["spec"]["resources"]["requests"]["storage"])


def _keys(item: dict[str, Any]) -> set[str]:
    return {*(item.get("data") or {}), *(item.get("stringData") or {})}


def _annotations(item: dict[str, Any]) -> dict[str, str]:
    return item["metadata"].get("annotations") or {}


def _is_hook(item: dict[str, Any]) -> bool:
    return "helm.sh/hook" in _annotations(item)


def _stays(item: dict[str, Any]) -> bool:
    return _annotations(item).get("helm.sh/resource-policy") == "keep"
