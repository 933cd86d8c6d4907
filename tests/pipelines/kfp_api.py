"""A server that speaks the part of KFP's v2beta1 API that Plumbline uses, and remembers what it is sent."""

from __future__ import annotations

import json
import re
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Execute = Callable[[dict[str, Any], dict[str, Any]], None]
"""Runs what was submitted: the pipeline's specifications, and the values of its parameters. Raises when it fails."""


@dataclass
class KfpApi:
    """The server's state.

    Attributes:
        url: Its address.
        token: Bearer token that it asks for.
        execute: What it does with a run; without it a run stays pending.
    """

    url: str = ""
    token: str | None = None
    multi_user: bool = False
    execute: Execute | None = None
    experiments: dict[str, dict[str, Any]] = field(default_factory=dict)
    pipelines: dict[str, dict[str, Any]] = field(default_factory=dict)
    versions: dict[str, dict[str, Any]] = field(default_factory=dict)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    recurring: dict[str, dict[str, Any]] = field(default_factory=dict)
    posts: list[tuple[str, Any]] = field(default_factory=list)

    def start_run(self, body: dict[str, Any]) -> dict[str, Any]:
        """Takes a run, and executes it beside."""
        run = {**body, "run_id": f"r-{len(self.runs) + 1}", "state": "PENDING"}
        self.runs[run["run_id"]] = run
        if self.execute is not None:
            threading.Thread(target=self._execute, args=(run,), daemon=True).start()
        return run

    def _execute(self, run: dict[str, Any]) -> None:
        run["state"] = "RUNNING"
        try:
            assert self.execute is not None
            self.execute(run["pipeline_spec"], run["runtime_config"]["parameters"])
        except RuntimeError as error:
            run["run_details"] = {"task_details": [{"display_name": "root", "error": {"message": str(error)}}]}
            run["state"] = "FAILED"
        else:
            run["state"] = "SUCCEEDED"


class _Handler(BaseHTTPRequestHandler):
    api: KfpApi

    def do_GET(self) -> None:
        path, query = self._asked()
        if not self._allowed():
            return
        api = self.api
        if path == "healthz":
            self._answer({"multi_user": api.multi_user})
        elif path == "experiments":
            self._answer({"experiments": list(api.experiments.values())})
        elif path == "pipelines":
            self._answer({"pipelines": list(api.pipelines.values())})
        elif match := re.fullmatch(r"pipelines/([^/]+)/versions", path):
            own = [version for version in api.versions.values() if version["pipeline_id"] == match[1]]
            self._answer({"pipeline_versions": own})
        elif path == "runs":
            wanted = json.loads(query["filter"])["predicates"][0]["stringValue"]
            self._answer({"runs": [run for run in api.runs.values() if run["display_name"] == wanted]})
        elif match := re.fullmatch(r"runs/(.+)", path):
            self._answer(api.runs[match[1]])
        elif path == "recurringruns":
            self._answer({"recurringRuns": list(api.recurring.values())})
        else:
            self._answer({"error": self.path}, 404)

    def do_POST(self) -> None:
        path, query = self._asked()
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if not self._allowed():
            return
        body = {} if path == "pipelines/upload_version" else json.loads(content)
        api = self.api
        api.posts.append((path, body))
        if path == "experiments":
            made = {**body, "experiment_id": f"e-{len(api.experiments) + 1}"}
            api.experiments[made["experiment_id"]] = made
        elif path == "pipelines":
            made = {**body, "pipeline_id": f"p-{len(api.pipelines) + 1}"}
            api.pipelines[made["pipeline_id"]] = made
        elif path == "pipelines/upload_version":
            made = {"pipeline_version_id": f"v-{len(api.versions) + 1}", "pipeline_id": query["pipelineid"]}
            made |= {"display_name": query["name"], "name": query["name"]}
            api.versions[made["pipeline_version_id"]] = {**made, "content": content.decode()}
        elif path == "recurringruns":
            made = {**body, "recurring_run_id": f"s-{len(api.posts)}"}
            api.recurring[made["recurring_run_id"]] = made
        elif path == "runs" and body["display_name"].startswith("training"):
            made = api.start_run(body)
        else:
            self._answer({"error": "unknown pipeline"}, 400)
            return
        self._answer(made)

    def do_DELETE(self) -> None:
        path, _ = self._asked()
        self.api.recurring.pop(path.removeprefix("recurringruns/"))
        self._answer({})

    def _asked(self) -> tuple[str, dict[str, str]]:
        parts = urllib.parse.urlsplit(self.path)
        return parts.path.removeprefix("/apis/v2beta1/"), dict(urllib.parse.parse_qsl(parts.query))

    def _allowed(self) -> bool:
        if self.api.token is None or self.headers.get("Authorization") == f"Bearer {self.api.token}":
            return True
        self._answer({"error": "Unauthenticated"}, 401)
        return False

    def _answer(self, content: dict[str, Any], code: int = 200) -> None:
        text = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextmanager
def running_api(**state: Any) -> Iterator[KfpApi]:
    """Starts the server on a free port."""
    api = KfpApi(**state)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"api": api}))
    api.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
