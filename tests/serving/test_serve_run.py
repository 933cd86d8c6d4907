"""The endpoint as a process: a real Ray, a real champion, real features; started, loaded, swapped, stopped, killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from own_folder import own_folder
from serving_champion import add_version, install

from plumbline.data.contract import REQUEST_COLUMNS
from plumbline.data.snapshot import SnapshotStore
from plumbline.process.children import plumbline_line
from plumbline.registry.models import ModelRegistry
from plumbline.settings import Settings, load_settings
from plumbline.storage import open_store
from serving.prediction_log import read
from serving.prediction_log.segments import sizes_of, spool_dir

pytestmark = pytest.mark.slow


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Installation:
    """Everything that a served home holds."""

    settings: Settings
    snapshot: str
    as_of: datetime
    versions: tuple[str, str]

    def environment(self, **more: str) -> dict[str, str]:
        names = {name: value for name, value in os.environ.items() if not name.startswith("PLUMBLINE_")}
        own = {
            "PLUMBLINE_HOME": str(self.settings.home),
            "PLUMBLINE_SERVING__GRPC_PORT": "0",
            # What else runs on the machine must decide nothing here.
            "PLUMBLINE_SERVING__LATENCY_BUDGET_MS": "5000",
        }
        return {**names, **own, **more}

    def command(self, *arguments: str) -> list[str]:
        return plumbline_line(*arguments)

    def processes(self) -> list[psutil.Process]:
        """Whatever lives with this home in its environment."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("PLUMBLINE_HOME") == str(self.settings.home):
                    found.append(process)
            except psutil.Error:
                continue
        return [process for process in found if process.status() != psutil.STATUS_ZOMBIE]

    def posting(self) -> dict[str, Any]:
        frame = SnapshotStore(open_store(self.settings)).read(self.snapshot)
        row = frame[frame["event_timestamp"] >= self.as_of].iloc[0]
        chosen = {name: row[name] for name in REQUEST_COLUMNS if row[name] is not None and row[name] == row[name]}
        return {**chosen, "event_timestamp": row["event_timestamp"].isoformat()}


class Endpoint:
    """A running `plumbline serve run`."""

    def __init__(self, installation: Installation, **variables: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen(
            installation.command("serve", "run", "--port", str(self.port), "--json"),
            cwd=own_folder(installation.settings.home.parent),
            env=installation.environment(**variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_until_ready(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        lines = ""
        for line in self.process.stdout:
            lines += line
            if line == "}\n":
                ready: dict[str, Any] = json.loads(lines)
                return ready
        assert self.process.stderr is not None
        raise AssertionError(f"the endpoint ended: {self.process.stderr.read()}")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


def _replica(installation: Installation) -> psutil.Process:
    (found,) = [process for process in installation.processes() if process.name().startswith("ray::ServeReplica")]
    return found


class KeepAliveClient:
    """Sends one request after the other on a connection that it keeps, and tries none again."""

    def __init__(self, url: str, posting: dict[str, Any]) -> None:
        self._url, self._posting = url, posting
        self.answered = 0
        self.failures: list[tuple[float, str]] = []
        self.closing: list[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        with httpx.Client() as client:
            while not self._stop.is_set():
                sent = time.monotonic()
                try:
                    response = client.post(f"{self._url}/v1/classify", json=self._posting)
                    response.raise_for_status()
                except httpx.HTTPError as error:
                    self.failures.append((sent, repr(error)))
                    time.sleep(0.02)
                    continue
                self.answered += 1
                if response.headers.get("connection") == "close":
                    self.closing.append(sent)


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    settings = load_settings(home=tmp_path_factory.mktemp("served") / "home")
    snapshot, as_of = install(settings, rows=1500)
    second = add_version(settings, snapshot, as_of, seed=2)
    first = add_version(settings, snapshot, as_of, seed=1)
    return Installation(settings, snapshot, as_of, (first, second))


@pytest.fixture(scope="module")
def endpoint(installation: Installation) -> Iterator[Endpoint]:
    running = Endpoint(installation)
    running.wait_until_ready()
    yield running
    if running.process.poll() is None:
        running.stop()
    _wait_until_gone(installation)


def _wait_until_gone(installation: Installation, seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while left := installation.processes():
        assert time.monotonic() < deadline, [" ".join(process.cmdline()) for process in left]
        time.sleep(0.1)


def _load(installation: Installation, endpoint: Endpoint, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        installation.command(
            *("load", "run", "--url", endpoint.url, "--snapshot", installation.snapshot, "--verify-log", "--json"),
            *("--since", f"{installation.as_of:%Y-%m-%dT%H:%M:%S}", *arguments),
        ),
        env=installation.environment(),
        stdout=subprocess.PIPE,
        text=True,
    )


def _result(load: subprocess.Popen[str]) -> dict[str, Any]:
    output, _ = load.communicate(timeout=120)
    assert load.returncode == 0
    result: dict[str, Any] = json.loads(output)
    return result


def test_a_served_posting_gets_its_features_and_is_logged(installation: Installation, endpoint: Endpoint) -> None:
    posting = installation.posting()
    response = httpx.post(f"{endpoint.url}/v1/classify", json=posting, headers={"X-Request-ID": "one"})
    assert response.status_code == 200
    answer = response.json()
    assert answer["model"] == {"name": "posting-classifier", "version": installation.versions[0]}
    assert answer["degraded"] is False
    assert httpx.get(f"{endpoint.url}/readyz").status_code == 200
    assert httpx.post(f"{endpoint.url}/v1/classify", content=b"{").status_code == 400
    (model,) = httpx.get(f"{endpoint.url}/v1/models").json()["models"]
    assert (model["version"], len(model["digest"])) == (installation.versions[0], 64)
    log = read(installation.settings)
    row = log[log["request_id"] == "one"].iloc[0]
    assert row["label"] == answer["label"]
    assert any(value is not None for value in row["features"].values())
    assert list(row["features_later"]) == []


def test_a_killed_replica_is_replaced_on_the_same_port(installation: Installation, endpoint: Endpoint) -> None:
    client = KeepAliveClient(endpoint.url, installation.posting())
    time.sleep(1)
    killed = _replica(installation)
    killed.kill()
    deadline = time.monotonic() + 150
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{endpoint.url}/readyz", timeout=5.0).status_code == 200 and not killed.is_running():
                break
        time.sleep(0.1)
    answered = client.answered
    time.sleep(1)
    client.stop()
    assert client.answered > answered  # by whom is listening on the port now
    assert _replica(installation).pid != killed.pid
    assert endpoint.process.poll() is None


def test_load_then_swap_under_load_then_a_clean_stop(installation: Installation, endpoint: Endpoint) -> None:
    quiet = _result(_load(installation, endpoint, "--rate", "100", "--duration", "5"))
    assert (quiet["errors"], quiet["log"]["missing"]) == (0, 0)
    assert quiet["answered"] == 500

    first, second = installation.versions
    registry = ModelRegistry(installation.settings)
    load = _load(installation, endpoint, "--rate", "60", "--duration", "8", "--warm-up", "0")
    time.sleep(4)
    registry.promote(second, "a test wants a swap")
    swapped = _result(load)
    registry.promote(first, "back again")
    assert (swapped["errors"], swapped["log"]["missing"]) == (0, 0)
    assert set(swapped["by_version"]) == {first, second}

    answered = {row["request_id"] for row in read(installation.settings).to_dict("records")}
    assert endpoint.stop() == 0
    assert installation.processes() == []
    assert sizes_of(spool_dir(installation.settings)) == {}  # all shipped
    assert answered == set(read(installation.settings)["request_id"])
    assert not list(Path("/tmp").glob(f"plumbline-ray-*/session_*_{endpoint.process.pid}"))


def test_killed_it_leaves_nothing_running_loses_nothing_and_starts_again(installation: Installation) -> None:
    killed = Endpoint(installation)
    killed.wait_until_ready()
    posting = installation.posting()
    answered = []
    with httpx.Client() as client:
        for number in range(50):
            request_id = f"before-the-kill-{number}"
            response = client.post(f"{killed.url}/v1/classify", json=posting, headers={"X-Request-ID": request_id})
            answered += [request_id] * (response.status_code == 200)
    assert killed.stop(signal.SIGKILL) == -signal.SIGKILL
    _wait_until_gone(installation)
    assert set(answered) <= set(read(installation.settings)["request_id"])
    assert len(answered) == 50

    again = Endpoint(installation)
    again.wait_until_ready()
    assert again.stop(signal.SIGINT) == 0
    assert installation.processes() == []
    assert set(answered) <= set(read(installation.settings)["request_id"])


def test_drained_first_it_stops_without_a_failed_request(installation: Installation, tmp_path: Path) -> None:
    drain = tmp_path / "drain"
    everybody = {"PLUMBLINE_SERVING__HOST": "0.0.0.0", "PLUMBLINE_SERVING__ACCESS__REQUIRED": "false"}
    drain.touch()  # left by the container that ran here before
    leaving = Endpoint(installation, PLUMBLINE_SERVING__DRAIN_FILE=str(drain), **everybody)
    assert leaving.wait_until_ready()["url"] == leaving.url
    clients = [KeepAliveClient(leaving.url, installation.posting()) for _ in range(4)]
    time.sleep(1)
    assert httpx.get(f"{leaving.url}/readyz").status_code == 200
    assert not any(client.closing for client in clients)

    drain.touch()
    answer = httpx.get(f"{leaving.url}/readyz")
    assert (answer.status_code, answer.json()["reason"]) == (503, "draining")
    time.sleep(3)
    told_at = time.monotonic()
    leaving.process.send_signal(signal.SIGTERM)
    assert leaving.process.wait(30) == 0
    for client in clients:
        client.stop()
        assert client.answered > 10
        assert [error for sent, error in client.failures if sent < told_at] == []
        assert len(client.closing) > 10


@pytest.mark.parametrize("seconds", [5.0])
def test_stopped_while_it_starts_it_leaves_nothing_running(installation: Installation, seconds: float) -> None:
    starting = Endpoint(installation)
    time.sleep(seconds)
    starting.stop()
    _wait_until_gone(installation)


def test_a_busy_port_is_refused_before_anything_starts(installation: Installation) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        done = subprocess.run(
            installation.command("serve", "run", "--port", str(port)),
            env=installation.environment(),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert done.returncode == 2
    assert f"Port {port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_endpoint_that_nobody_could_ask_is_refused_before_anything_starts(installation: Installation) -> None:
    done = subprocess.run(
        installation.command("serve", "run", "--port", str(free_port()), "--host", "0.0.0.0"),
        env=installation.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "there are no keys" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_champion_it_says_what_to_do(tmp_path: Path, installation: Installation) -> None:
    done = subprocess.run(
        installation.command("serve", "run", "--port", str(free_port())),
        env=installation.environment(PLUMBLINE_HOME=str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "nothing to serve" in done.stderr
    assert "Traceback" not in done.stderr
