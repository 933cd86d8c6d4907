"""The controller's HTTP side, its lock, and its commands."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest
from controller_process import PAYLOAD, free_port, until
from loop_trainers import ScriptedTrainer
from starlette.testclient import TestClient

from plumbline.controller.app import create_app
from plumbline.controller.lock import only_one
from plumbline.controller.loop import Loop
from plumbline.controller.server import serve
from plumbline.controller.state import open_state
from plumbline.errors import PortBusyError, UserError
from plumbline.settings import Settings


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    state = open_state(settings)
    app = create_app(settings, state, Loop(settings, state, ScriptedTrainer("promote")))
    with TestClient(app) as client:
        yield client


def test_an_alert_by_http_is_retrained_on(client: TestClient) -> None:
    answer = client.post("/webhook/alertmanager", content=PAYLOAD)
    assert answer.status_code == 200
    assert answer.json()["alerts"][0]["action"] == "retraining"
    until(lambda: client.get("/status").json()["retrainings"][0]["state"] == "promoted")
    (retraining,) = client.get("/status").json()["retrainings"]
    assert retraining["gate_verdict"] == "promote"
    assert retraining["model_version"] == "2"
    assert client.post("/webhook/alertmanager", content=PAYLOAD).json()["alerts"][0]["action"] == "already_done"
    what = [event["what"] for event in client.get("/events").json()["events"]]
    assert what[:2] == ["retraining_queued", "alert"]
    assert "retraining_promoted" in what
    metrics = client.get("/metrics").text
    assert 'plumbline_controller_retrainings{state="promoted"} 1.0' in metrics
    assert 'plumbline_controller_alerts_total{action="already_done"} 1.0' in metrics
    assert client.get("/healthz").json() == {"status": "ok"}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"version": "3", "alerts": []}', b'{"alerts": []}', b"\xff"])
def test_a_bad_payload_is_a_problem(client: TestClient, body: bytes) -> None:
    answer = client.post("/webhook/alertmanager", content=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]
    assert client.get("/status").json()["retrainings"] == []


def test_a_huge_payload_is_refused(client: TestClient) -> None:
    assert client.post("/webhook/alertmanager", content=b" " * 5_000_000).status_code == 413


def test_a_taken_port_is_said_before_anything_starts(settings: Settings) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        with pytest.raises(PortBusyError):
            serve(settings, port=holder.getsockname()[1])


def test_only_one_controller_works_on_a_state(settings: Settings) -> None:
    with only_one(settings), pytest.raises(UserError, match=rf"Another controller works on .*process {os.getpid()} on"):
        serve(settings, port=free_port())
