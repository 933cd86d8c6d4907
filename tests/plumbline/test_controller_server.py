"""The controller as a process: HTTP, restarts, SIGKILL and SIGTERM."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil
import pytest
from loop_trainers import ScriptedTrainer
from starlette.testclient import TestClient

from plumbline.alerts.webhook import build_alert, build_message
from plumbline.controller.app import create_app
from plumbline.controller.loop import Loop
from plumbline.controller.process import CommandTrainer
from plumbline.controller.server import open_state, serve
from plumbline.controller.trainer import Attempt, StoppedError
from plumbline.errors import PlumblineError, PortBusyError
from plumbline.settings import Settings

HERE = Path(__file__).parent
PAYLOAD = build_message(
    [
        build_alert(
            "PostingDrift",
            severity="warning",
            labels={"model": "posting-classifier", "model_version": "1"},
            annotations={"summary": "words moved", "snapshot_id": "abc", "window_end": "2026-06-01T00:00:00+00:00"},
            starts_at=datetime(2026, 5, 20, tzinfo=UTC),
        )
    ],
    receiver="test",
).to_json()


def _until(found: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


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
    _until(lambda: client.get("/status").json()["retrainings"][0]["state"] == "promoted")
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


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"version": "3"}', PAYLOAD.replace("2026-06-01T", "then ").encode()]
)
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


class _Controller:
    """A controller process whose first training sleeps."""

    def __init__(self, home: Path, port: int) -> None:
        environment = {**os.environ, "PLUMBLINE_HOME": str(home / "home"), "HOME": str(home)}
        environment["PLUMBLINE_CONTROLLER__RETRY_PAUSE_SECONDS"] = "0"
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen([sys.executable, str(HERE / "loop_trainers.py"), str(port)], env=environment)

    def wait_ready(self) -> None:
        def ready() -> bool:
            try:
                return httpx.get(f"{self.url}/healthz").status_code == 200
            except httpx.TransportError:
                return False

        _until(ready)

    def retraining(self) -> dict:
        return httpx.get(f"{self.url}/status").json()["retrainings"][0]


@pytest.fixture
def start_controller(tmp_path: Path) -> Iterator[Callable[[], _Controller]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    started: list[_Controller] = []

    def start() -> _Controller:
        controller = _Controller(tmp_path, port)
        started.append(controller)
        controller.wait_ready()
        return controller

    yield start
    for controller in started:
        if controller.process.poll() is None:
            controller.process.kill()
        controller.process.wait()


def test_a_killed_controller_takes_its_work_up_again(
    tmp_path: Path, start_controller: Callable[[], _Controller]
) -> None:
    first = start_controller()
    httpx.post(f"{first.url}/webhook/alertmanager", content=PAYLOAD)
    _until(
        lambda: (
            (tmp_path / "once").exists()
            and bool((tmp_path / "once").read_text())
            and first.retraining()["child_pid"] is not None
        )
    )
    orphan = int((tmp_path / "once").read_text())
    first.process.kill()
    first.process.wait()
    assert psutil.pid_exists(orphan)
    second = start_controller()
    _until(lambda: second.retraining()["state"] == "promoted")
    assert second.retraining()["attempts"] == 2
    assert not psutil.pid_exists(orphan) or psutil.Process(orphan).status() == psutil.STATUS_ZOMBIE


def test_sigterm_ends_the_training_and_the_next_start_takes_it_up(
    tmp_path: Path, start_controller: Callable[[], _Controller]
) -> None:
    first = start_controller()
    httpx.post(f"{first.url}/webhook/alertmanager", content=PAYLOAD)
    once = tmp_path / "once"
    _until(lambda: once.exists() and bool(once.read_text()))
    child = int((tmp_path / "once").read_text())
    first.process.send_signal(signal.SIGTERM)
    assert first.process.wait(timeout=15) in (0, -signal.SIGTERM)
    assert not psutil.pid_exists(child)
    second = start_controller()
    _until(lambda: second.retraining()["state"] == "promoted")


def test_only_one_controller_works_on_a_state(tmp_path: Path, start_controller: Callable[[], _Controller]) -> None:
    start_controller()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        other_port = probe.getsockname()[1]
    second = subprocess.run(
        [sys.executable, "-m", "plumbline", "controller", "run", "--port", str(other_port)],
        env={**os.environ, "PLUMBLINE_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert second.returncode == 2
    assert "Another controller works on" in second.stderr


def test_a_command_that_fails_gives_its_own_sentence(settings: Settings, tmp_path: Path) -> None:
    trainer = CommandTrainer(settings)
    with pytest.raises(PlumblineError, match=r"exit code 2: .*no snapshot") as caught:
        trainer.prepare(
            "0" * 64, datetime(2026, 1, 1, tzinfo=UTC), attempt=Attempt("1-1", tmp_path / "log", lambda _: None)
        )
    assert str(tmp_path / "log") in str(caught.value)


def test_a_command_is_ended_when_the_trainer_is_stopped(settings: Settings, tmp_path: Path) -> None:
    trainer = CommandTrainer(settings)
    children: list[int] = []

    def stop_it(child: object) -> None:
        children.append(child.pid)  # type: ignore[attr-defined]
        trainer.stop()

    with pytest.raises(StoppedError):
        trainer.prepare("latest", datetime(2026, 1, 1, tzinfo=UTC), attempt=Attempt("1-1", tmp_path / "log", stop_it))
    assert not psutil.pid_exists(children[0])
