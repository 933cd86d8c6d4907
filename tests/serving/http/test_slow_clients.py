"""Clients that are slow, greedy or speak nonsense: each is told, none holds a connection for long. Real sockets."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from http_listening import listening, request

from plumbline.settings import Settings

Posting = dict[str, Any]


@pytest.fixture
def body(posting: Posting) -> bytes:
    return json.dumps(posting).encode()


def test_headers_that_trickle_are_408_and_their_connection_is_closed(settings: Settings, body: bytes) -> None:
    with listening(settings, http={"header_seconds": 0.3}) as served:
        slow, quick = served.connect(), served.connect()
        slow.send(b"POST /v1/classify HTTP/1.1\r\nhost: a\r\n")
        for number in range(3):
            time.sleep(0.05)
            slow.send(f"x-{number}: y\r\n".encode())
            assert quick.post(body).status == 200  # nobody else waits for it
        answer = slow.read()
        assert (answer.status, answer.body["title"], answer.headers["connection"]) == (408, "too-slow", "close")
        assert slow.is_closed()


def test_a_body_that_trickles_is_408_and_its_connection_is_closed(settings: Settings, body: bytes) -> None:
    with listening(settings, http={"body_seconds": 0.3}) as served:
        slow = served.connect()
        slow.send(request(body)[: -len(body) // 2])
        answer = slow.read()
        assert (answer.status, answer.body["title"]) == (408, "too-slow")
        assert slow.is_closed()
        assert 'reason="too-slow"' in served.replica.front.metrics.exposition().decode()


def test_a_connection_on_which_nothing_comes_is_closed(settings: Settings, body: bytes) -> None:
    with listening(settings, http={"header_seconds": 0.2, "keep_alive_seconds": 0.2}) as served:
        silent, idle = served.connect(), served.connect()
        assert idle.post(body).status == 200
        assert idle.is_closed()
        assert silent.is_closed()


def test_a_client_that_does_not_read_its_answers_is_cut_off(settings: Settings) -> None:
    with listening(settings, http={"answer_seconds": 0.3}) as served:
        deaf = served.connect()
        with pytest.raises(OSError):  # noqa: PT012 - which of them is refused is the system's business
            for _ in range(2000):
                deaf.send(b"GET /openapi.json HTTP/1.1\r\nhost: a\r\n\r\n")
                time.sleep(0.001)
        reader = served.connect()
        reader.send(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n")
        assert reader.read().status == 200


@pytest.mark.parametrize("in_one_go", [True, False])
def test_headers_without_end_are_431(settings: Settings, in_one_go: bool) -> None:
    with listening(settings, http={"max_header_bytes": 2048}) as served:
        greedy = served.connect()
        many = b"".join(b"x-%d: %s\r\n" % (number, b"y" * 90) for number in range(30))
        if in_one_go:
            greedy.send(b"GET /healthz HTTP/1.1\r\nhost: a\r\n" + many + b"\r\n")
        else:
            greedy.send(b"GET /healthz HTTP/1.1\r\nx: ")
            greedy.send(b"y" * 4000)
        answer = greedy.read()
        assert (answer.status, answer.body["title"]) == (431, "headers-too-large")
        assert greedy.is_closed()


def test_what_is_not_http_is_400(settings: Settings) -> None:
    with listening(settings) as served:
        strange = served.connect()
        strange.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")
        assert strange.read().body["title"] == "invalid-http"
        assert strange.is_closed()


def test_a_large_body_is_413_and_the_client_gets_to_read_it(settings: Settings) -> None:
    with listening(settings, max_body_bytes=2048) as served:
        announced = served.connect()
        announced.send(request(b"x" * 1_000_000))  # sent in full before a byte of the answer is read
        assert announced.read().status == 413
        assert announced.is_closed()
        chunked = served.connect()
        chunked.send(b"POST /v1/classify HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
        chunked.send(b"1000\r\n" + b"x" * 4096 + b"\r\n")
        assert chunked.read().status == 413
        assert chunked.is_closed()


def test_one_connection_too_many_is_503(settings: Settings, body: bytes) -> None:
    with listening(settings, http={"max_connections": 2}) as served:
        kept = [served.connect() for _ in range(2)]
        assert [talk.post(body).status for talk in kept] == [200, 200]
        surplus = served.connect()
        answer = surplus.post(body)
        assert (answer.status, answer.body["title"]) == (503, "too-many-connections")
        assert answer.headers["retry-after"] == "1"
        assert surplus.is_closed()
        assert kept[0].post(body).status == 200


def test_one_request_too_many_is_503(settings: Settings, body: bytes) -> None:
    with listening(settings, http={"max_requests": 1}) as served:
        waiting, refused = served.connect(), served.connect()
        waiting.send(request(body)[:-1])
        time.sleep(0.1)
        assert refused.post(body).body["title"] == "too-many-requests"
        waiting.send(body[-1:])
        assert waiting.read().status == 200
        time.sleep(0.1)
        assert refused.post(body).status == 200  # its connection was kept
