"""What a connection carries: refusals at the headers, answers in order, clients that go, the end of the server."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from http_listening import Listening, free_port, listening, request
from serving_standins import WordCountModel

from plumbline.errors import PortBusyError
from plumbline.settings import Settings
from serving.errors import RequestRefusedError
from serving.prediction_log import read

Posting = dict[str, Any]
OVERLOADED = RequestRefusedError(503, "overloaded", "Too much waits. Retry later.", retry_after=2)


@pytest.fixture
def body(posting: Posting) -> bytes:
    return json.dumps(posting).encode()


def _overload(served: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    lane = served.replica.front.engine.lane()
    monkeypatch.setattr(lane, "overloaded", lambda budget, coming=0: OVERLOADED if budget < 10 else None)
    monkeypatch.setattr(lane, "overloaded_in_bulk", lambda budget, queries: OVERLOADED)


def test_an_overloaded_lane_refuses_at_the_headers_and_keeps_the_connection(
    settings: Settings, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listening(settings) as served:
        talk = served.connect()
        with monkeypatch.context() as patched:
            _overload(served, patched)
            whole = request(body, X_Request_ID="mine")
            talk.send(whole[: -len(body)])
            answer = talk.read()  # before a byte of the body was sent
            assert (answer.status, answer.headers["retry-after"]) == (503, "2")
            assert answer.headers["content-type"] == "application/problem+json"
            assert (answer.body["title"], answer.body["request_id"]) == ("overloaded", "mine")
            assert "connection" not in answer.headers
            talk.send(body)
            assert [talk.post(body).status for _ in range(3)] == [503, 503, 503]
            assert talk.post(b'{"postings": []}', "/v1/classify:batch").status == 503
            assert talk.post(body, X_Latency_Budget_Ms="20000").status == 200
            assert talk.post(body, X_Latency_Budget_Ms="soon").status == 400
        assert talk.post(body).status == 200
        counted = 'plumbline_requests_total{model="posting-classifier",reason="overloaded",status="503"} 5.0'
        assert counted in served.replica.front.metrics.exposition().decode()


def test_a_client_that_waits_for_leave_to_send_is_refused_and_its_connection_closed(
    settings: Settings, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listening(settings) as served:
        talk = served.connect()
        talk.send(request(body, Expect="100-continue")[: -len(body)])
        assert talk.socket.recv(100).startswith(b"HTTP/1.1 100 Continue")
        talk.send(body)
        assert talk.read().status == 200
        _overload(served, monkeypatch)
        talk.send(request(body, Expect="100-continue")[: -len(body)])
        assert talk.read().headers["connection"] == "close"
        assert talk.is_closed()


def test_requests_that_do_not_wait_for_answers_get_them_in_order(settings: Settings, body: bytes) -> None:
    with listening(settings) as served:
        talk = served.connect()
        talk.send(b"".join(request(body, X_Request_ID=f"r{number}") for number in range(6)))
        assert [talk.read().body["request_id"] for _ in range(6)] == [f"r{number}" for number in range(6)]


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_who_wants_the_connection_closed_gets_it_closed(settings: Settings, body: bytes, version: str) -> None:
    with listening(settings) as served:
        talk = served.connect()
        sent = request(body, Connection="close") if version == "1.1" else request(body).replace(b"/1.1", b"/1.0", 1)
        talk.send(sent)
        answer = talk.read()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert talk.is_closed()


def test_a_client_that_goes_takes_its_query_along(settings: Settings, body: bytes) -> None:
    model = WordCountModel()
    with listening(settings, model, max_batch_size=1) as served:
        model.seconds = 0.3
        lane = served.replica.front.engine.lane()
        first = served.connect()
        first.send(request(body))
        time.sleep(0.1)
        goes = served.connect()
        goes.send(request(body, X_Request_ID="gone"))
        time.sleep(0.05)
        assert lane.waiting == 1
        goes.socket.close()
        time.sleep(0.05)
        assert lane.waiting == 0
        assert first.read().status == 200
    assert "gone" not in set(read(served.settings)["request_id"])


def test_while_draining_every_answer_closes_its_connection(
    settings: Settings, body: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listening(settings, drain_file=tmp_path / "drain") as served:
        talk = served.connect()
        assert "connection" not in talk.post(body).headers
        (tmp_path / "drain").touch()
        assert talk.post(body).headers["connection"] == "close"
        assert talk.is_closed()
        refused = served.connect()
        _overload(served, monkeypatch)
        assert refused.post(body).headers["connection"] == "close"
        assert refused.is_closed()


def test_the_end_answers_what_is_under_way_and_frees_the_port(settings: Settings, body: bytes) -> None:
    port = free_port()
    model = WordCountModel()
    with listening(settings, model, port=port, max_batch_size=1) as served:
        model.seconds = 0.3
        under_way, arriving, idle = served.connect(), served.connect(), served.connect()
        assert idle.post(body).status == 200
        under_way.send(request(body))
        time.sleep(0.1)
        arriving.send(request(body)[:-1])
        time.sleep(0.05)
        stopping = threading.Thread(target=lambda: asyncio.run(served.loop.run(served.replica.close())))
        stopping.start()
        time.sleep(0.15)
        arriving.send(body[-1:])
        assert under_way.read().status == 200
        answer = arriving.read()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert idle.is_closed()
        stopping.join(10)
        assert not stopping.is_alive()
        with listening(settings, port=port) as next_one:
            assert next_one.connect().post(body).status == 200


def test_two_never_share_a_port(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.http.listener._PORT_PATIENCE_SECONDS", 0.1)
    with listening(settings) as served, pytest.raises(PortBusyError), listening(settings, port=served.port):
        pass


def test_a_replica_whose_server_or_batch_is_dead_says_so(settings: Settings, body: bytes) -> None:
    model = WordCountModel()
    with listening(settings, model) as served:
        assert served.run(served.replica.dead_because()) is None
        model.seconds = 0.5
        served.connect().send(request(body))
        time.sleep(0.2)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("serving.replica._HANGING_SECONDS", 0.1)
            assert "batch" in str(served.run(served.replica.dead_because()))
        http = served.replica._http
        assert http is not None
        http._tasks[1].cancel()
        time.sleep(0.05)
        assert "http-limits" in str(served.run(served.replica.dead_because()))


def test_many_new_connections_get_in_within_few_rounds_of_the_loop(settings: Settings) -> None:
    with listening(settings) as served:
        connections = served.replica._http._server.server_state.connections  # type: ignore[union-attr]

        async def rounds() -> int:
            # The kernel takes them while the loop is busy here; each await is one round of it.
            talks = [served.connect() for _ in range(60)]
            for _ in range(5):
                await asyncio.sleep(0)
            found = len(connections)
            for talk in talks:
                talk.socket.close()
            return found

        assert served.run(rounds()) >= 60
