"""The real Prometheus and Alertmanager, started as the chart starts them: same command line, same configuration."""

from __future__ import annotations

import base64
import json
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from helm_engine import Render, render

from plumbline.alerts.alertmanager import api_address, to_api
from plumbline.alerts.webhook import WebhookMessage, build_alert, build_message

HOST = "127.0.0.1"
TOKEN = "the-token-of-the-controller-0001"
TOKEN_FOLDER = "/etc/plumbline-controller"


@contextmanager
def _hooks(token: str) -> Iterator[tuple[int, dict[str, list[bytes]]]]:
    """A server that keeps what is posted to it, by path; the controller's path asks for its token."""
    received: dict[str, list[bytes]] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            allowed = self.path == "/people" or self.headers["Authorization"] == f"Bearer {token}"
            if allowed:
                received.setdefault(self.path, []).append(body)
            self.send_response(200 if allowed else 401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer((HOST, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port, received
    server.shutdown()
    server.server_close()
    thread.join()


@contextmanager
def _running(program: str, rendered: Render, name: str, folder: Path) -> Iterator[None]:
    """Runs a container's arguments with its environment, as Kubernetes puts them together."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not there; Debian's packages prometheus and prometheus-alertmanager bring it")
    container = rendered.one("Deployment", name)["spec"]["template"]["spec"]["containers"][0]
    environment = {each["name"]: each["value"] for each in container["env"]}
    arguments = [re.sub(r"\$\((\w+)\)", lambda found: environment[found[1]], each) for each in container["args"]]
    with (folder / f"{program}.log").open("wb") as log:
        process = subprocess.Popen([found, *arguments], stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=20)


def _mount_token(rendered: Render, folder: Path) -> None:
    """Lays Alertmanager's mount of the controller's token out, as the kubelet would at `TOKEN_FOLDER`."""
    pod = rendered.one("Deployment", "-alertmanager")["spec"]["template"]["spec"]
    (mount,) = [each for each in pod["containers"][0]["volumeMounts"] if each["mountPath"] == TOKEN_FOLDER]
    (volume,) = [each["secret"] for each in pod["volumes"] if each["name"] == mount["name"]]
    data = rendered.one("Secret", volume["secretName"])["data"]
    folder.mkdir()
    for item in volume["items"]:
        (folder / item["path"]).write_bytes(base64.b64decode(data[item["key"]]))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _wait(true: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if true():
                return
        except httpx.TransportError:
            pass  # it does not listen yet
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.2)


def test_an_alert_gets_from_a_rule_or_a_monitor_to_its_receivers(tmp_path: Path) -> None:
    etc, ports = tmp_path / "etc", {"prometheus": _free_port(), "alertmanager": _free_port()}
    etc.mkdir()
    # Prometheus needs five seconds to find its Alertmanager, and sends what fired before that only a minute later.
    soon = {
        "alert": "Soon",
        "expr": f"vector(time()) > {time.time() + 12:.0f}",
        "labels": {"severity": "critical"},
    }
    with _hooks(TOKEN) as (hooks, received):
        values = {
            "prometheus": {
                "service": {"port": ports["prometheus"]},
                "configDir": str(etc),
                "dataDir": str(tmp_path / "data"),
                "evaluationInterval": "1s",
                "rules": {"extraGroups": [{"name": "extra", "rules": [soon]}]},
            },
            "controller": {"auth": {"token": TOKEN}},
            "alertmanager": {
                "service": {"port": ports["alertmanager"]},
                "configDir": str(etc),
                "dataDir": str(tmp_path / "alertmanager"),
                "groupWait": "1s",
                "controllerGroupWait": "1s",
                "defaultReceiver": "people",
                "extraReceivers": [
                    {"name": "people", "webhook_configs": [{"url": f"http://{HOST}:{hooks}/people"}]},
                ],
            },
        }
        rendered = render(values)
        _mount_token(rendered, tmp_path / "token")
        files = rendered.one("ConfigMap", "-prometheus")["data"] | rendered.one("Secret", "-alertmanager")["stringData"]
        for name, text in files.items():
            # The cluster's names lead here.
            local = re.sub(r"[\w-]+-alertmanager:", f"{HOST}:", text)
            local = re.sub(r"http://[\w-]+-controller:\d+", f"http://{HOST}:{hooks}", local)
            local = local.replace(TOKEN_FOLDER, str(tmp_path / "token"))
            (etc / name).write_text(local, encoding="utf-8")
        alertmanager = f"http://{HOST}:{ports['alertmanager']}"
        with (
            _running("prometheus-alertmanager", rendered, "-alertmanager", tmp_path),
            _running("prometheus", rendered, "-prometheus", tmp_path),
        ):
            _wait(lambda: httpx.get(f"{alertmanager}/-/ready").status_code == 200)
            _wait(lambda: httpx.get(f"http://{HOST}:{ports['prometheus']}/-/ready").status_code == 200)
            drift = build_alert(
                "PostingDrift",
                severity="critical",
                labels={"model": "m", "model_version": "1", "policy": "default"},
                annotations={"summary": "title moved"},
                starts_at=datetime.now(UTC),
            )
            posted = to_api(build_message([drift], receiver="r"), active_for=timedelta(hours=1))
            httpx.post(api_address(alertmanager), json=posted).raise_for_status()
            _wait(lambda: "/people" in received and "/webhook/alertmanager" in received)
            rules = httpx.get(f"http://{HOST}:{ports['prometheus']}/api/v1/rules").json()["data"]["groups"]
            assert not [rule for group in rules for rule in group["rules"] if rule.get("lastError")]
    heard = WebhookMessage.model_validate(json.loads(received["/webhook/alertmanager"][0]))
    assert [(each.name, each.labels["model"]) for each in heard.alerts] == [("PostingDrift", "m")]
    assert json.loads(received["/people"][0])["alerts"][0]["labels"]["alertname"] == "Soon"
