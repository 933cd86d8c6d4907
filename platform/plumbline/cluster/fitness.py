"""Is a cluster fit for the chart? Asked of its API, before anything is installed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from plumbline.cluster.finding import Finding
from plumbline.cluster.kubeconfig import Cluster
from plumbline.cluster.waiting import sentence

OLDEST = (1, 30)
LITE_CPUS, LITE_GIB = 3.5, 7.0
"""What the lite profile requests, all parts on."""

_GIB = 1024**3
_KFP_ARCHITECTURE = "amd64"
_SECONDS = 10.0
_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_ENFORCE = "pod-security.kubernetes.io/enforce"
_UNITS = {
    "": 1.0, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40,
}  # fmt: skip
_OPTIONAL = {
    "ray.io": "serving.mode=rayservice needs the KubeRay operator",
    "cert-manager.io": "certificates by cert-manager need it; else give TLS secrets",
    "monitoring.coreos.com": "ServiceMonitors and PrometheusRules need the Prometheus operator",
}
_CREATED = (
    ("", "configmaps"),
    ("", "persistentvolumeclaims"),
    ("", "secrets"),
    ("", "serviceaccounts"),
    ("", "services"),
    ("apps", "deployments"),
    ("apps", "statefulsets"),
    ("batch", "cronjobs"),
    ("batch", "jobs"),
    ("networking.k8s.io", "networkpolicies"),
    ("policy", "poddisruptionbudgets"),
    ("rbac.authorization.k8s.io", "rolebindings"),
    ("rbac.authorization.k8s.io", "roles"),
)


def examine(cluster: Cluster, namespace: str, *, cpus: float, gib: float) -> list[Finding]:
    """Looks at everything that can be asked.

    Args:
        cluster: A connection.
        namespace: Where the chart is to be installed; need not exist.
        cpus: Cores that the installation requests.
        gib: Memory that it requests, GiB.
    """
    reached = _version(cluster)
    if reached.check == "api":
        return [reached]
    looks: tuple[tuple[str, Callable[[], Finding]], ...] = (
        ("storage class", lambda: _storage(cluster)),
        ("room", lambda: _room(cluster, cpus, gib)),
        ("architecture", lambda: _architecture(cluster)),
        ("pod security", lambda: _security(cluster, namespace)),
        ("permissions", lambda: _permissions(cluster, namespace)),
    )
    findings = [reached, *(_tried(check, look) for check, look in looks), *_groups(cluster)]
    return [
        *findings,
        Finding(
            "network policies", "warning", "enforcement unknown: the API does not tell",
            "The chart's policies only protect where the network plugin enforces them (Calico, Cilium, kindnet do).",
        ),
    ]  # fmt: skip


def _tried(check: str, look: Callable[[], Finding]) -> Finding:
    from kubernetes.client import ApiException
    from urllib3.exceptions import HTTPError

    try:
        return look()
    except ApiException as error:
        return Finding(check, "warning", f"could not be asked: {error.status} {error.reason}", "Ask an administrator.")
    except HTTPError as error:
        return Finding(check, "problem", f"the API does not answer: {sentence(error)}", "Try again.")


def _version(cluster: Cluster) -> Finding:
    from kubernetes.client import ApiException, VersionApi
    from urllib3.exceptions import HTTPError

    try:
        found = VersionApi(cluster.client).get_code(_request_timeout=_SECONDS)
    except (ApiException, HTTPError) as error:
        said = f"{error.status} {error.reason}" if isinstance(error, ApiException) else sentence(error)
        return Finding("api", "problem", f"{cluster.host}: {said}", "Check KUBECONFIG, --context and the network.")
    number = (int(found.major), int(re.sub(r"\D.*", "", found.minor)))
    good = number >= OLDEST
    advice = "" if good else f"Upgrade to {'.'.join(map(str, OLDEST))} or newer."
    return Finding("version", "ok" if good else "problem", f"{found.git_version} at {cluster.host}", advice)


def _storage(cluster: Cluster) -> Finding:
    from kubernetes.client import StorageV1Api

    classes = StorageV1Api(cluster.client).list_storage_class(_request_timeout=_SECONDS).items
    default = [
        each.metadata.name for each in classes if (each.metadata.annotations or {}).get(_DEFAULT_CLASS) == "true"
    ]
    if default:
        return Finding("storage class", "ok", f"{default[0]} is the default", "")
    names = ", ".join(each.metadata.name for each in classes) or "there is none"
    return Finding(
        "storage class", "problem", f"no default ({names})",
        "Name one in the components' persistence.storageClass, or make one the default.",
    )  # fmt: skip


def _room(cluster: Cluster, cpus: float, gib: float) -> Finding:
    from kubernetes.client import CoreV1Api

    api = CoreV1Api(cluster.client)
    nodes = {each.metadata.name: each for each in api.list_node(_request_timeout=_SECONDS).items if _usable(each)}
    total_cpus = sum(quantity(each.status.allocatable["cpu"]) for each in nodes.values())
    total = sum(quantity(each.status.allocatable["memory"]) for each in nodes.values())
    pods = api.list_pod_for_all_namespaces(
        field_selector="status.phase!=Succeeded,status.phase!=Failed", _request_timeout=_SECONDS
    ).items
    mine = [pod for pod in pods if pod.spec.node_name in nodes]
    free_cpus = total_cpus - _requested(mine, "cpu")
    free = (total - _requested(mine, "memory")) / _GIB
    good = free_cpus >= cpus and free >= gib
    found = f"{free_cpus:.1f} CPUs and {free:.1f} GiB free on {len(nodes)} nodes; {cpus:g} and {gib:g} are needed"
    advice = "" if good else "Add a node, or switch parts off in the values (docs/cluster.md)."
    return Finding("room", "ok" if good else "problem", found, advice)


def _architecture(cluster: Cluster) -> Finding:
    from kubernetes.client import CoreV1Api

    nodes = CoreV1Api(cluster.client).list_node(_request_timeout=_SECONDS).items
    found = sorted({each.status.node_info.architecture for each in nodes if _usable(each)})
    if found == [_KFP_ARCHITECTURE]:
        return Finding("architecture", "ok", _KFP_ARCHITECTURE, "")
    if _KFP_ARCHITECTURE in found:
        advice = f"Keep Kubeflow Pipelines' pods on {_KFP_ARCHITECTURE} nodes: nodeSelector of its components."
    else:
        advice = "Install with kfp.enabled=false (make kind-up does so): trainings then run as Kubernetes Jobs."
    return Finding(
        "architecture", "warning", f"{', '.join(found) or 'no node takes pods'}; Kubeflow Pipelines has images for "
        f"{_KFP_ARCHITECTURE} only", advice,
    )  # fmt: skip


def _usable(node: Any) -> bool:
    refusing = any(taint.effect in ("NoSchedule", "NoExecute") for taint in node.spec.taints or ())
    ready = any(each.type == "Ready" and each.status == "True" for each in node.status.conditions or ())
    return ready and not refusing and not node.spec.unschedulable


def _requested(pods: Iterable[Any], resource: str) -> float:
    return sum(
        quantity(((container.resources and container.resources.requests) or {}).get(resource, "0"))
        for pod in pods
        for container in pod.spec.containers
    )


def quantity(text: str) -> float:
    """A Kubernetes quantity, such as `500m` or `2Gi`, as a number."""
    found = re.fullmatch(r"([0-9.]+(?:e[0-9]+)?)([A-Za-z]{0,2})", text)
    if found is None or found[2] not in _UNITS:
        raise ValueError(f"{text!r} is not a quantity")
    return float(found[1]) * _UNITS[found[2]]


def _security(cluster: Cluster, namespace: str) -> Finding:
    from kubernetes.client import ApiException, CoreV1Api

    try:
        found = CoreV1Api(cluster.client).read_namespace(namespace, _request_timeout=_SECONDS)
    except ApiException as error:
        if error.status != 404:
            raise
        return Finding("pod security", "ok", f"namespace {namespace} is not there yet; helm --create-namespace", "")
    level = (found.metadata.labels or {}).get(_ENFORCE)
    advice = "" if level == "restricted" else f"The platform's pods fit `restricted`: label it {_ENFORCE}=restricted."
    return Finding("pod security", "ok", f"namespace {namespace} enforces {level or 'nothing'}", advice)


def _permissions(cluster: Cluster, namespace: str) -> Finding:
    from kubernetes.client import AuthorizationV1Api

    api = AuthorizationV1Api(cluster.client)
    refused = []
    for group, resource in _CREATED:
        attributes = {"namespace": namespace, "verb": "create", "group": group, "resource": resource}
        answer = api.create_self_subject_access_review(
            {"spec": {"resourceAttributes": attributes}}, _request_timeout=_SECONDS
        )
        if not answer.status.allowed:
            refused.append(resource)
    if refused:
        return Finding(
            "permissions", "problem", f"you may not create {', '.join(refused)} in {namespace}",
            "Ask an administrator for these rights, or have them install.",
        )  # fmt: skip
    return Finding("permissions", "ok", f"you may create all {len(_CREATED)} kinds in {namespace}", "")


def _groups(cluster: Cluster) -> list[Finding]:
    from kubernetes.client import ApiException, ApisApi
    from urllib3.exceptions import HTTPError

    try:
        served = {each.name for each in ApisApi(cluster.client).get_api_versions(_request_timeout=_SECONDS).groups}
    except (ApiException, HTTPError) as error:
        return [Finding("extensions", "warning", f"could not be asked: {sentence(error)}", "Try again.")]
    return [
        Finding(group, "ok", "present" if group in served else "not present", "" if group in served else f"{why}.")
        for group, why in _OPTIONAL.items()
    ]
