"""The few endpoints of the Kubernetes API that Jobs need, over HTTP: a cluster's faults cannot be ordered."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

CRONJOB = {
    "apiVersion": "batch/v1",
    "kind": "CronJob",
    "metadata": {"name": "line-retrain", "namespace": "ml", "uid": "uid-1"},
    "spec": {
        "schedule": "0 0 1 1 *",
        "suspend": True,
        "jobTemplate": {
            "metadata": {"labels": {"app": "line"}},
            "spec": {
                "backoffLimit": 0,
                "ttlSecondsAfterFinished": 600,
                "template": {
                    "spec": {
                        "restartPolicy": "Never",
                        "containers": [{"name": "job", "image": "pipelines:1", "args": ["cluster", "bootstrap"]}],
                        "newerThanTheClient": True,
                    }
                },
            },
        },
    },
}


class KubernetesDouble:
    """What the cluster holds, and what it does when asked."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.requests: list[tuple[str, str]] = []
        self.away = False
        self.away_status = 503
        self.forbidden = False
        self.on_create: Any = None
        """Called with each Job that is made."""
        self.on_get: Any = lambda _: None
        """Called with the name of each Job that is asked for."""
        self.resources: dict[str, Any] = {}
        """Further answers by path."""

    def finish(self, name: str, kind: str, reason: str = "") -> None:
        """Gives a Job its last condition."""
        self.jobs[name]["status"] = {"conditions": [{"type": kind, "status": "True", "reason": reason}]}

    def age(self, name: str, seconds: float) -> None:
        """Makes a Job older."""
        created = datetime.now(UTC) - timedelta(seconds=seconds)
        self.jobs[name]["metadata"]["creationTimestamp"] = created.isoformat(timespec="seconds")

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        """Status and content for a request."""
        self.requests.append((method, path))
        if self.away:
            return self.away_status, {"message": "the API server does not serve this now"}
        if self.forbidden:
            return 403, {"message": "jobs is forbidden: User may not"}
        if path in self.resources:
            found = self.resources[path]
            return 200, found(body) if callable(found) else found
        start = "/apis/batch/v1/namespaces/ml/"
        if not path.startswith(start):
            return 404, {"message": f"{path} not found"}
        kind, _, name = path.removeprefix(start).partition("/")
        if kind == "cronjobs":
            return (200, CRONJOB) if name == CRONJOB["metadata"]["name"] else (404, {"message": "not found"})  # type: ignore[index]
        if method == "POST":
            return self._create(body)
        self.on_get(name)
        if name not in self.jobs:
            return 404, {"message": "not found"}
        if method == "DELETE":
            return 200, self.jobs.pop(name)
        return 200, self.jobs[name]

    def _create(self, body: dict[str, Any]) -> tuple[int, Any]:
        name = body["metadata"]["name"]
        if name in self.jobs:
            return 409, {"message": "already exists"}
        self.jobs[name] = body
        self.age(name, 0)
        if self.on_create is not None:
            self.on_create(name)
        return 201, self.jobs.get(name, body)


@contextmanager
def running_kubernetes(folder: Path) -> Iterator[tuple[KubernetesDouble, Path]]:
    """Starts it; gives it and a kubeconfig that names it."""
    double = KubernetesDouble()

    class Handler(BaseHTTPRequestHandler):
        def _reply(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, content = double.answer(self.command, self.path.partition("?")[0].rstrip("/"), body)
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_DELETE = _reply  # noqa: N815 - the names that http.server looks for

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = folder / "kubeconfig"
    config.write_text(
        yaml.safe_dump(
            {
                "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_address[1]}"}}],
                "users": [{"name": "u", "user": {}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "ml"}}],
                "current-context": "x",
            }
        )
    )
    try:
        yield double, config
    finally:
        server.shutdown()
        server.server_close()
