"""A Kubernetes API in memory: as much of it as the Helm engine needs to install, look up and upgrade.

It stores what it is sent and answers discovery for the kinds listed here; it runs no controllers, except that Jobs
are complete and Pods have succeeded as soon as they are created, so that hooks end.
"""

from __future__ import annotations

import http.server
import json
import re
import threading
import urllib.parse
from collections.abc import Iterable, Mapping
from typing import Any

import yaml
from helm_protobuf import read_secret

BUILT_IN: dict[str, tuple[str, ...]] = {
    "v1": (
        "ConfigMap", "Secret", "Service", "ServiceAccount", "Pod", "PersistentVolumeClaim", "Namespace", "Node",
        "PersistentVolume", "Endpoints", "Event", "LimitRange", "ResourceQuota",
    ),
    "apps/v1": ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"),
    "batch/v1": ("Job", "CronJob"),
    "autoscaling/v2": ("HorizontalPodAutoscaler",),
    "policy/v1": ("PodDisruptionBudget",),
    "networking.k8s.io/v1": ("NetworkPolicy", "Ingress", "IngressClass"),
    "rbac.authorization.k8s.io/v1": ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"),
    "storage.k8s.io/v1": ("StorageClass",),
    "scheduling.k8s.io/v1": ("PriorityClass",),
    "apiextensions.k8s.io/v1": ("CustomResourceDefinition",),
    "admissionregistration.k8s.io/v1": ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"),
    "coordination.k8s.io/v1": ("Lease",),
}  # fmt: skip
"""What every cluster has: API version -> kinds."""

OPERATORS: dict[str, dict[str, tuple[str, ...]]] = {
    "prometheus-operator": {"monitoring.coreos.com/v1": ("ServiceMonitor", "PodMonitor", "PrometheusRule")},
    "kuberay": {"ray.io/v1": ("RayService", "RayCluster", "RayJob")},
    "cert-manager": {"cert-manager.io/v1": ("Certificate", "Issuer", "ClusterIssuer")},
    "argo": {"argoproj.io/v1alpha1": ("Workflow", "WorkflowTemplate", "CronWorkflow")},
    "kubeflow": {
        "kubeflow.org/v1beta1": ("ScheduledWorkflow", "Viewer"),
        "pipelines.kubeflow.org/v2beta1": ("Pipeline", "PipelineVersion"),
    },
}
"""What an operator adds."""

_CLUSTER_SCOPED = frozenset(
    {"Namespace", "Node", "PersistentVolume", "ClusterRole", "ClusterRoleBinding", "StorageClass", "PriorityClass",
     "CustomResourceDefinition", "IngressClass", "ClusterIssuer", "ValidatingWebhookConfiguration",
     "MutatingWebhookConfiguration"}
)  # fmt: skip


class FakeCluster:
    """The API server, on a free port of this machine.

    Args:
        version: Kubernetes version, as `1.36`.
        operators: Names of OPERATORS whose kinds the cluster knows.
        objects: Objects that are there already; `metadata.namespace` says where.
    """

    def __init__(
        self, version: str = "1.36", operators: Iterable[str] = (), objects: Iterable[Mapping[str, Any]] = ()
    ) -> None:
        self.version = version
        self.kinds = dict(BUILT_IN)
        for name in operators:
            self.kinds.update(OPERATORS[name])
        self.plurals = {_plural(kind): (api, kind) for api, kinds in self.kinds.items() for kind in kinds}
        self.store: dict[str, dict[str, Any]] = {}
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        for item in objects:
            self.add(item)

    def add(self, item: Mapping[str, Any]) -> None:
        """Puts an object there, as somebody else than Helm."""
        self.store[self.path(item)] = dict(item)

    def path(self, item: Mapping[str, Any]) -> str:
        """The object's path in the API."""
        api, kind = item["apiVersion"], item["kind"]
        prefix = f"/api/{api}" if "/" not in api else f"/apis/{api}"
        if kind not in _CLUSTER_SCOPED:
            prefix += f"/namespaces/{item['metadata'].get('namespace', 'default')}"
        return f"{prefix}/{_plural(kind)}/{item['metadata']['name']}"

    @property
    def kubeconfig(self) -> str:
        """A kubeconfig file's text."""
        address = f"http://127.0.0.1:{self._server.server_port}"
        named = {"name": "memory"}
        return yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [named | {"cluster": {"server": address}}],
                "users": [named | {"user": {}}],
                "contexts": [named | {"context": {"cluster": "memory", "user": "memory"}}],
                "current-context": "memory",
            }
        )

    def close(self) -> None:
        """Stops the server."""
        self._server.shutdown()
        self._server.server_close()

    def discovery(self, path: str) -> dict[str, Any] | None:
        """Answers of the discovery endpoints; None for any other path."""
        if path == "/version":
            major, _, minor = self.version.partition(".")
            return {"major": major, "minor": minor, "gitVersion": f"v{self.version}.0"}
        if path == "/api":
            return {"kind": "APIVersions", "versions": ["v1"]}
        if path == "/apis":
            groups = []
            for api in self.kinds:
                group, _, version = api.rpartition("/")
                if group:
                    entry = {"groupVersion": api, "version": version}
                    groups.append({"name": group, "versions": [entry], "preferredVersion": entry})
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        api = path.removeprefix("/apis/").removeprefix("/api/")
        if api not in self.kinds:
            return None
        resources = [
            {
                "name": _plural(kind),
                "singularName": kind.lower(),
                "namespaced": kind not in _CLUSTER_SCOPED,
                "kind": kind,
                "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"],
            }
            for kind in self.kinds[api]
        ]
        return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api, "resources": resources}

    def listing(self, path: str, query: Mapping[str, list[str]]) -> dict[str, Any] | None:
        """The objects under a collection's path that the selectors choose; None where the path is no collection."""
        api, kind = self.plurals.get(path.rpartition("/")[2], (None, None))
        if kind is None:
            return None
        items = [item for key, item in self.store.items() if key.rpartition("/")[0] == path]
        for selector in ",".join(query.get("labelSelector", [])).split(","):
            if selector:
                key, _, value = selector.partition("=")
                items = [o for o in items if o["metadata"].get("labels", {}).get(key) == value.lstrip("=")]
        name = re.search(r"metadata\.name=([^,]+)", ",".join(query.get("fieldSelector", [])))
        if name:
            items = [item for item in items if item["metadata"]["name"] == name[1]]
        return {"kind": f"{kind}List", "apiVersion": api, "metadata": {"resourceVersion": "1"}, "items": items}


def _plural(kind: str) -> str:
    word = kind.lower()
    if word.endswith("endpoints"):
        return word
    if re.search(r"[^aeiou]y$", word):
        return f"{word[:-1]}ies"
    return f"{word}es" if word.endswith(("s", "x", "ch")) else f"{word}s"


def _complete(item: dict[str, Any]) -> dict[str, Any]:
    """Gives a hook's Job or Pod the status that ends Helm's wait."""
    if item.get("kind") == "Job":
        at = "2026-01-01T00:00:00Z"
        done = {"type": "Complete", "status": "True", "lastTransitionTime": at}
        item["status"] = {"succeeded": 1, "startTime": at, "completionTime": at, "conditions": [done]}
    if item.get("kind") == "Pod":
        item["status"] = {"phase": "Succeeded"}
    return item


def _merge(target: dict[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """JSON merge patch. Helm computes what changes itself; the release's manifest, not this store, is the record."""
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        else:
            target[key] = value
    return target


def _handler(cluster: FakeCluster) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def answer(self, body: Mapping[str, Any], code: int = 200) -> None:
            data = json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def fail(self, code: int, reason: str) -> None:
            status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code}
            self.answer(status | {"message": f"{reason}: {self.path}"}, code)

        def body(self) -> dict[str, Any]:
            text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if "protobuf" in self.headers.get("Content-Type", ""):
                return read_secret(text)
            return json.loads(text) if text else {}

        def do_GET(self) -> None:
            path, _, text = self.path.partition("?")
            query = urllib.parse.parse_qs(text)
            if path == "/openapi/v2":  # an empty protobuf document: no kind has a schema, so nothing is checked here
                self.send_response(200)
                kind = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", "0")
                self.end_headers()
            elif (found := cluster.discovery(path)) is not None:
                self.answer(found)
            elif path in cluster.store:
                self.answer(cluster.store[path])
            elif "watch" in query:
                self.watch(cluster.listing(path, query) if "sendInitialEvents" in query else None)
            elif (listed := cluster.listing(path, query)) is not None:
                self.answer(listed)
            else:
                self.fail(404, "NotFound")

        def watch(self, listed: Mapping[str, Any] | None) -> None:
            """What is there now, where the client asks for it; then nothing: an ended watch would be opened again."""
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            if listed is not None:
                events = [{"type": "ADDED", "object": item} for item in listed["items"]]
                end = {"resourceVersion": "1", "annotations": {"k8s.io/initial-events-end": "true"}}
                kind = {"kind": listed["kind"].removesuffix("List"), "apiVersion": listed["apiVersion"]}
                events.append({"type": "BOOKMARK", "object": {**kind, "metadata": end}})
                self.wfile.write("".join(f"{json.dumps(event)}\n" for event in events).encode())
            threading.Event().wait(10)
            self.close_connection = True

        def do_POST(self) -> None:
            item = _complete(self.body())
            path = f"{self.path.partition('?')[0]}/{item['metadata']['name']}"
            if path in cluster.store:
                self.fail(409, "AlreadyExists")
                return
            cluster.store[path] = item
            self.answer(item, 201)

        def do_PUT(self) -> None:
            item = self.body()
            cluster.store[self.path.partition("?")[0]] = item
            self.answer(item)

        def do_PATCH(self) -> None:
            patch = self.body()
            self.answer(_merge(cluster.store.setdefault(self.path.partition("?")[0], {}), patch))

        def do_DELETE(self) -> None:
            self.body()
            gone = cluster.store.pop(self.path.partition("?")[0], None)
            if gone is None:
                self.fail(404, "NotFound")
            else:
                self.answer({"kind": "Status", "apiVersion": "v1", "status": "Success"})

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - http.server's name
            """Requests are not logged."""

    return Handler
