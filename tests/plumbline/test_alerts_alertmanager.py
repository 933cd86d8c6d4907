"""Through a real Alertmanager: what a monitor has to say reaches the controller, and starts a retraining there.

The controller asks for a token, as it does on a cluster, and Alertmanager shows it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from controller_process import free_port, until

from plumbline.alerts.delivery import AlertOutbox, DeliveryPolicy
from plumbline.alerts.webhook import Alert, build_alert, build_message
from plumbline.settings.monitoring import AlertReceiver
from plumbline.storage.folder import FolderStore

ALERTMANAGER = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")

pytestmark = pytest.mark.skipif(ALERTMANAGER is None, reason="no Alertmanager is installed (prometheus-alertmanager)")

TOKEN, OTHER = "a-token-of-the-controller-0001", "another-token-of-the-controller"
ANNOTATIONS = {
    "summary": "title moved by 0.30 (usual: 0.05, limit: 0.12). Since 2026-05-20.",
    "since": "",
    "slices": "board=a (40%)",
    "findings": json.dumps([{"test": "text:title", "value": 0.3}]),
    "snapshot_id": "ab" * 32,
    "window_start": "2026-05-18T00:00:00+00:00",
    "window_end": "2026-06-01T00:00:00+00:00",
    "runbook_url": "docs/monitoring.md",
}


def _until(found: Callable[[], Any]) -> Any:
    answers: list[Any] = []

    def answered() -> bool:
        try:
            answers.append(found())
        except httpx.TransportError:
            return False  # it does not listen yet
        return bool(answers[-1])

    until(answered)
    return answers[-1]


def _started(stack: ExitStack, command: list[str], log: Path, **environment: str) -> None:
    output = stack.enter_context(log.open("wb"))
    process = subprocess.Popen(command, stdout=output, stderr=output, env=os.environ | environment)
    stack.callback(process.wait)
    stack.callback(process.terminate)


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Addresses of an Alertmanager and of the controller that it posts to."""
    alertmanager, controller = free_port(), free_port()
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n")
    hook = {
        "url": f"http://127.0.0.1:{controller}/webhook/alertmanager",
        "http_config": {"authorization": {"credentials_file": str(token)}},
    }
    config = {
        "route": {
            "receiver": "plumbline-controller",
            "group_by": ["alertname", "model", "model_version"],
            "group_wait": "0s",
            "group_interval": "1s",
        },
        "receivers": [
            {
                "name": "plumbline-controller",
                "webhook_configs": [hook],
            }
        ],
    }
    file = tmp_path / "alertmanager.yml"
    file.write_text(json.dumps(config))
    with ExitStack() as stack:
        _started(
            stack,
            [sys.executable, "-m", "plumbline", "controller", "run", "--port", str(controller)],
            tmp_path / "controller.log",
            PLUMBLINE_HOME=str(tmp_path / "home"),
            PLUMBLINE_CONTROLLER__REQUIRE_APPROVAL="true",
            PLUMBLINE_CONTROLLER__HOST="0.0.0.0",
            PLUMBLINE_CONTROLLER__ACCESS__TOKEN_FILE=str(token),
        )
        _started(
            stack,
            [
                str(ALERTMANAGER),
                f"--config.file={file}",
                f"--storage.path={tmp_path / 'alertmanager'}",
                f"--web.listen-address=127.0.0.1:{alertmanager}",
                "--cluster.listen-address=",
            ],
            tmp_path / "alertmanager.log",
        )
        urls = f"http://127.0.0.1:{alertmanager}", f"http://127.0.0.1:{controller}"
        _until(lambda: httpx.get(f"{urls[0]}/-/ready").is_success)
        _until(lambda: httpx.get(f"{urls[1]}/healthz").is_success)
        yield urls


def test_from_the_monitor_through_alertmanager_to_the_controller(servers: tuple[str, str], tmp_path: Path) -> None:
    alertmanager, controller = servers
    alert = _alert("1")
    message = build_message([alert], receiver="plumbline-controller")
    store = FolderStore(tmp_path / "monitoring")
    lasting = AlertOutbox(store, DeliveryPolicy(active_for=timedelta(hours=26)))
    lasting.write(message, [AlertReceiver(url=alertmanager, format="alertmanager")])
    lasting.flush()

    status = _until(lambda: _status(controller))
    [queued] = status["retrainings"]
    assert queued["snapshot"] == ANNOTATIONS["snapshot_id"]
    assert queued["reason"] == ANNOTATIONS["summary"]
    assert datetime.fromisoformat(queued["as_of"]) == datetime(2026, 6, 8, tzinfo=UTC)
    [received] = status["alerts"]
    assert received["action"] == "retraining"
    assert received["labels"] == alert.labels
    assert received["annotations"] == ANNOTATIONS
    [active] = httpx.get(f"{alertmanager}/api/v2/alerts").json()
    left = datetime.fromisoformat(active["endsAt"]) - datetime.now(UTC)
    assert timedelta(hours=25) < left < timedelta(hours=26)

    # A run that finds the same again changes nothing; an alert whose time runs out is resolved.
    lasting.write(message, [AlertReceiver(url=alertmanager, format="alertmanager")])
    lasting.flush()
    brief = AlertOutbox(store, DeliveryPolicy(active_for=timedelta(seconds=2)))
    brief.write(
        build_message([_alert("2")], receiver="plumbline-controller"),
        [AlertReceiver(url=alertmanager, format="alertmanager")],
    )
    brief.flush()
    actions = _until(lambda: (found := _actions(controller)).get("2") == "resolved" and found)
    assert actions == {"1": "retraining", "2": "resolved"}
    assert len(_status(controller)["retrainings"]) == 1


def test_the_token_is_exchanged_under_alertmanagers_eyes(servers: tuple[str, str], tmp_path: Path) -> None:
    alertmanager, controller = servers
    (tmp_path / "token").write_text(f"{OTHER}\n")
    outbox = AlertOutbox(FolderStore(tmp_path / "monitoring"), DeliveryPolicy())
    outbox.write(
        build_message([_alert("1")], receiver="plumbline-controller"),
        [AlertReceiver(url=alertmanager, format="alertmanager")],
    )
    outbox.flush()
    assert _until(lambda: _status(controller, OTHER))["alerts"][0]["action"] == "retraining"
    assert httpx.get(f"{controller}/status", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 401


def _alert(version: str) -> Alert:
    return build_alert(
        "PostingDrift",
        severity="warning",
        labels={"model": "posting-classifier", "model_version": version, "policy": "default"},
        annotations=ANNOTATIONS,
        starts_at=datetime(2026, 5, 20, tzinfo=UTC),
    )


def _actions(controller: str) -> dict[str, str]:
    """What came of the alerts about each model version, at last."""
    return {each["labels"]["model_version"]: each["action"] for each in reversed(_status(controller)["alerts"])}


def _status(controller: str, token: str = TOKEN) -> dict[str, Any]:
    status: dict[str, Any] = httpx.get(f"{controller}/status", headers={"Authorization": f"Bearer {token}"}).json()
    return status if status["alerts"] else {}
