"""What the NetworkPolicies let through, and whether both of an edge's ends agree. Functions return what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chart_pods import Objects, Pod, matches, pods


def covered(objects: Objects) -> list[str]:
    """Every pod is denied both directions by default, and may ask the cluster's DNS."""
    everything = list(objects)
    problems = []
    for pod in pods(everything):
        chosen = list(_policies(everything, pod))
        for direction in ("Ingress", "Egress"):
            if not any(direction in policy["spec"]["policyTypes"] for policy in chosen):
                problems.append(f"{pod.name}: no policy denies its {direction.lower()}")
        if not any(_asks_dns(rule) for policy in chosen for rule in policy["spec"].get("egress") or []):
            problems.append(f"{pod.name} may not ask the DNS")
    return problems


def twins(objects: Objects) -> list[str]:
    """What one pod may send to another, that one may receive, and the other way round."""
    everything = list(objects)
    there = list(pods(everything))
    problems = []
    for source in there:
        for target in there:
            sent = _ports(everything, source, target, "egress", "to")
            received = _ports(everything, target, source, "ingress", "from")
            for port in sorted(sent - received, key=str):
                problems.append(f"{source.name} may send to {target.name}:{port}, which may not receive it")
            # An open door needs no twin: the own namespace may ask serving, whether or not the asker is of the release.
            for port in sorted(_ports(everything, target, source, "ingress", "from", named=True) - sent, key=str):
                problems.append(f"{target.name}:{port} may receive from {source.name}, which may not send it")
    return problems


def listening(objects: Objects) -> list[str]:
    """A policy that lets something in at a port chooses pods that listen there."""
    everything = list(objects)
    problems = []
    for policy in _all(everything):
        chosen = [pod for pod in pods(everything) if matches(policy["spec"]["podSelector"], pod.labels)]
        ports = {port["containerPort"] for pod in chosen for item in pod.containers for port in item.get("ports") or []}
        for rule in policy["spec"].get("ingress") or []:
            for port in rule.get("ports") or []:
                if port["port"] not in ports:
                    problems.append(f"{policy['metadata']['name']} lets in at {port['port']}, where nobody listens")
    return problems


def not_open(objects: Objects) -> list[str]:
    """No rule without peers: Kubernetes reads it as everybody."""
    return [
        f"{policy['metadata']['name']} has a rule for everybody"
        for policy in _all(objects)
        for side, field in (("ingress", "from"), ("egress", "to"))
        for rule in policy["spec"].get(side) or []
        if not rule.get(field)
    ]


def reachable(objects: Objects, source: str, target: str) -> bool:
    """Whether some pod of component `source` may open a connection to one of component `target`."""
    everything = list(objects)
    there = list(pods(everything))
    return any(
        _ports(everything, one, other, "egress", "to") & _ports(everything, other, one, "ingress", "from")
        for one in there
        for other in there
        if one.component == source and other.component == target
    )


STORES = {
    "PGPASSWORD": "postgres",
    "PLUMBLINE_FEATURES__ONLINE_STORE": "redis",
    "PLUMBLINE_STORE__ACCESS_KEY_ID": "objectstore",
    "MLFLOW_TRACKING_USERNAME": "mlflow",
}
"""Who has this variable speaks to this component."""


def credentials_reach(objects: Objects) -> list[str]:
    """A pod that has a store's credentials may open a connection to it, in the release or outside."""
    everything = list(objects)
    there = {pod.component for pod in pods(everything)}
    problems = []
    for pod in pods(everything):
        variables = {item["name"] for container in pod.containers for item in container.get("env") or []}
        for variable in sorted(variables & STORES.keys()):
            store = STORES[variable]
            inside = store in there and reachable(everything, pod.component, store)
            if store != pod.component and not inside and (store in there or not _leaves(everything, pod)):
                problems.append(f"{pod.name} has {variable}, but may not speak to {store}")
    return problems


def _leaves(objects: Objects, pod: Pod) -> bool:
    """Whether the pod may speak to some address outside the release, besides the DNS."""
    return any(
        "ipBlock" in peer
        for policy in _policies(objects, pod)
        for rule in policy["spec"].get("egress") or []
        for peer in rule.get("to") or []
    )


def _all(objects: Objects) -> Iterator[dict[str, Any]]:
    return (item for item in objects if item["kind"] == "NetworkPolicy")


def _policies(objects: Objects, pod: Pod) -> Iterator[dict[str, Any]]:
    return (policy for policy in _all(objects) if matches(policy["spec"]["podSelector"], pod.labels))


def _ports(objects: Objects, pod: Pod, other: Pod, side: str, field: str, *, named: bool = False) -> set[int | str]:
    """Ports at which the pod's policies let it speak with the other one; `named`: only by rules that name the other."""
    found: set[int | str] = set()
    for policy in _policies(objects, pod):
        for rule in policy["spec"].get(side) or []:
            if any(_peer_is(peer, other, named=named) for peer in rule.get(field) or []):
                found |= {port["port"] for port in rule.get("ports") or [{"port": "all"}]}
    return found


def _peer_is(peer: dict[str, Any], pod: Pod, *, named: bool) -> bool:
    """Whether a peer chooses this pod of the release by its labels; other namespaces and addresses do not count."""
    selector = peer.get("podSelector")
    if selector is None or "namespaceSelector" in peer or (named and not selector):
        return False
    return matches(selector, pod.labels)


def _asks_dns(rule: dict[str, Any]) -> bool:
    return {"UDP", "TCP"} <= {port.get("protocol", "TCP") for port in rule.get("ports") or [] if port["port"] == 53}
