"""Slow, vanished and poisoned requests: whoever stands beside them is answered, and logged once."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from fault_clients import POSTING, Clients
from fault_log import require_each_once, shipped
from fault_replica import RunningReplica, on_free_port
from serving_standins import POISON, Features, Models

from plumbline.settings import Settings
from plumbline.settings.serving_http import HttpSettings

_PATIENT = {"Content-Type": "application/json", "X-Latency-Budget-Ms": "10000"}


@contextmanager
def _replica(settings: Settings, features: Features | None = None, **serving: Any) -> Iterator[RunningReplica]:
    models = Models()
    # Features that are held up hold up what reads them: a thread, so that others can join the batch and leave it.
    changed = on_free_port(settings, features_budget_ms=10_000.0, inline_batch_ms=0.0, **serving)
    with RunningReplica(changed, models=lambda *_: models, features=features or Features()) as replica:
        yield replica


def _wait(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _post(replica: RunningReplica, request_id: str, **changes: Any) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", replica.settings.serving.port, timeout=20)
    body = json.dumps({**POSTING, **changes})
    connection.request("POST", "/v1/classify", body, {**_PATIENT, "X-Request-ID": request_id})
    response = connection.getresponse()
    status, answer = response.status, json.loads(response.read())
    connection.close()
    return status, answer


def _head(path: str, length: int, request_id: str) -> bytes:
    fields = {**_PATIENT, "Host": "here", "X-Request-ID": request_id, "Content-Length": str(length)}
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _connect(replica: RunningReplica, **options: int) -> socket.socket:
    client = socket.socket()
    for name, value in options.items():
        client.setsockopt(socket.SOL_SOCKET, getattr(socket, name), value)
    client.settimeout(20)
    client.connect(("127.0.0.1", replica.settings.serving.port))
    return client


def _read_status(client: socket.socket) -> int:
    answer = http.client.HTTPResponse(client)
    answer.begin()
    answer.read()
    return answer.status


def test_a_body_that_comes_byte_by_byte_harms_nobody_and_is_answered_if_it_comes_in_time(settings: Settings) -> None:
    body = json.dumps(POSTING).encode()
    limits = HttpSettings(body_seconds=60.0)
    with _replica(settings, http=limits) as replica, Clients(replica.url, "beside") as clients:
        with _connect(replica) as client:
            client.sendall(_head("/v1/classify", len(body), "slow"))
            for position in range(len(body)):
                client.sendall(body[position : position + 1])
                time.sleep(0.005)
            assert _read_status(client) == 200
        clients.wait_for(lambda seen: seen.status == 200, count=50)
    assert clients.outcomes().keys() == {"200"}
    require_each_once(shipped(replica.settings), [*clients.answered, "slow"])


def test_a_body_that_does_not_come_is_408_and_harms_nobody(settings: Settings) -> None:
    limits = HttpSettings(body_seconds=0.5)
    with _replica(settings, http=limits) as replica, Clients(replica.url, "beside") as clients:
        client = _connect(replica)
        client.sendall(_head("/v1/classify", 1000, "never") + b"{")
        assert _read_status(client) == 408
        client.close()
    assert clients.outcomes().keys() == {"200"}
    log = shipped(replica.settings)
    require_each_once(log, clients.answered)
    assert "never" not in log


def test_a_client_that_does_not_read_its_answers_is_cut_off_and_harms_nobody(settings: Settings) -> None:
    limits = HttpSettings(answer_seconds=0.5)
    postings = [{**POSTING, "posting_id": f"p-{number}"} for number in range(200)]
    body = json.dumps({"postings": postings}).encode()
    with _replica(settings, http=limits) as replica, Clients(replica.url, "beside") as clients:
        with _connect(replica, SO_RCVBUF=4096) as client, pytest.raises(OSError, match=r"reset|Broken pipe"):
            _send_for_ever(client, body)
        since = time.monotonic()
        clients.wait_for(lambda seen: seen.status == 200, count=20, since=since)
    assert clients.outcomes().keys() == {"200"}
    require_each_once(shipped(replica.settings), clients.answered)


def _send_for_ever(client: socket.socket, body: bytes) -> None:
    """Batches with answers of 50 kB each, of which it reads not one."""
    for number in range(1000):
        client.sendall(_head("/v1/classify:batch", len(body), f"deaf{number}") + body)


def test_poison_in_a_batch_is_500_for_itself_alone(settings: Settings) -> None:
    features = Features()
    with _replica(settings, features) as replica, ThreadPoolExecutor(9) as threads:
        lane = replica.replica.front.engine.lane()
        features.go_on.clear()
        first = threads.submit(_post, replica, "first")
        _wait(lambda: features.reads > 0 and lane.waiting == 0)
        asked = {
            f"r{number}": threads.submit(_post, replica, f"r{number}", title=POISON if number == 3 else "fine")
            for number in range(8)
        }
        _wait(lambda: lane.waiting == 8)  # so all of them will be one batch
        features.go_on.set()
        answers = {name: future.result() for name, future in {"first": first, **asked}.items()}
    assert answers["r3"][0] == 500
    assert "ValueError" in answers["r3"][1]["detail"]
    fine = [name for name, (status, _) in answers.items() if status == 200]
    assert len(fine) == 8
    assert dict(shipped(replica.settings)) == dict.fromkeys(fine, 1)


def test_a_neighbour_who_leaves_takes_nothing_with_him_but_his_own_query(settings: Settings) -> None:
    features = Features()
    body = json.dumps(POSTING).encode()
    with _replica(settings, features) as replica, ThreadPoolExecutor(8) as threads:
        lane = replica.replica.front.engine.lane()
        features.go_on.clear()
        leaving_early = _connect(replica)
        leaving_early.sendall(_head("/v1/classify", len(body), "computed") + body)
        _wait(lambda: features.reads > 0 and lane.waiting == 0)
        asked = [threads.submit(_post, replica, f"r{number}") for number in range(6)]
        leaving = _connect(replica)
        leaving.sendall(_head("/v1/classify", len(body), "waiting") + body)
        _wait(lambda: lane.waiting == 7)
        leaving.close()
        leaving_early.close()
        _wait(lambda: lane.waiting == 6)  # he is out of the batch before it closes
        features.go_on.set()
        assert [future.result()[0] for future in asked] == [200] * 6
    log = shipped(replica.settings)
    require_each_once(log, [f"r{number}" for number in range(6)])
    # What is being computed when its client leaves is logged: that the answer was not read is known to nobody.
    assert "waiting" not in log
    assert set(log) <= {"computed", *(f"r{number}" for number in range(6))}
