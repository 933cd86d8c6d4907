"""The pods that rendered objects make, whatever kind of object makes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

COMPONENT = "app.kubernetes.io/component"
LONG_RUNNING = ("Deployment", "StatefulSet", "DaemonSet")

Objects = Iterable[dict[str, Any]]


@dataclass(frozen=True)
class Pod:
    """A pod, or the template of one.

    Attributes:
        owner: Object that makes it.
        template: `metadata` and `spec` of the pod.
        replicas: How many there are at once; 1 for Jobs.
    """

    owner: dict[str, Any]
    template: dict[str, Any]
    replicas: int = 1

    @property
    def name(self) -> str:
        return f"{self.owner['kind']}/{self.owner['metadata']['name']}"

    @property
    def spec(self) -> dict[str, Any]:
        return self.template["spec"]

    @property
    def labels(self) -> dict[str, str]:
        return self.template.get("metadata", {}).get("labels", {})

    @property
    def component(self) -> str:
        return self.labels.get(COMPONENT, "")

    @property
    def namespace(self) -> str:
        return self.owner["metadata"].get("namespace", "")

    @property
    def long_running(self) -> bool:
        return self.owner["kind"] in LONG_RUNNING

    @property
    def init_containers(self) -> list[dict[str, Any]]:
        return self.spec.get("initContainers") or []

    @property
    def containers(self) -> list[dict[str, Any]]:
        """Init containers first."""
        return [*self.init_containers, *self.spec["containers"]]


def pods(objects: Objects) -> Iterator[Pod]:
    """Every pod of Deployments, StatefulSets, Jobs, CronJobs, RayServices, and plain ones."""
    for item in objects:
        kind, spec = item["kind"], item.get("spec") or {}
        if kind in LONG_RUNNING:
            yield Pod(item, spec["template"], spec.get("replicas", 1))
        elif kind == "Job":
            yield Pod(item, spec["template"])
        elif kind == "CronJob":
            yield Pod(item, spec["jobTemplate"]["spec"]["template"])
        elif kind == "Pod":
            yield Pod(item, item)
        elif kind == "RayService":
            cluster = spec["rayClusterConfig"]
            yield Pod(item, _with_autoscaler(cluster))
            for group in cluster.get("workerGroupSpecs", []):
                yield Pod(item, group["template"], group.get("replicas", 1))


def _with_autoscaler(cluster: dict[str, Any]) -> dict[str, Any]:
    """The head's template with the container that KubeRay puts beside Ray where Ray scales itself."""
    template = cluster["headGroupSpec"]["template"]
    if not cluster.get("enableInTreeAutoscaling"):
        return dict(template)
    containers = template["spec"]["containers"]
    scaler = {"name": "autoscaler", "image": containers[0]["image"], **cluster.get("autoscalerOptions", {})}
    return template | {"spec": template["spec"] | {"containers": [*containers, scaler]}}


def matches(selector: dict[str, Any] | None, labels: dict[str, str]) -> bool:
    """Whether a label selector (matchLabels, matchExpressions) chooses these labels."""
    selector = selector or {}
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for expression in selector.get("matchExpressions") or []:
        key, values = expression["key"], expression.get("values", [])
        holds = {
            "In": labels.get(key) in values,
            "NotIn": labels.get(key) not in values,
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
        }[expression["operator"]]
        if not holds:
            return False
    return True


def quantity(value: Any) -> float:
    """A Kubernetes quantity as a number: cores, or bytes."""
    text = str(value)
    units = {"m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
    for unit in sorted(units, key=len, reverse=True):
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * units[unit]
    return float(text)


def requested(pod: Pod, resource: str) -> float:
    """What the scheduler reserves for one pod: its containers' sum, or its largest init container's if that is more."""

    def of(container: dict[str, Any]) -> float:
        return quantity(container["resources"]["requests"].get(resource, 0))

    sidecars = sum(of(item) for item in pod.init_containers if item.get("restartPolicy") == "Always")
    running = sum(of(item) for item in pod.spec["containers"]) + sidecars
    return max([running, *(of(item) for item in pod.init_containers)])
