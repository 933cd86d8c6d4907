"""What RFC 9110 and RFC 9112 say of messages that few clients send, and attackers do."""

from __future__ import annotations

import json
from typing import Any

import pytest
from http_listening import Listening, listening, request
from pydantic import SecretStr

from plumbline.settings import Settings
from plumbline.settings.serving_access import AccessSettings

Posting = dict[str, Any]
KEY = "k" * 32
H2C = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2_Settings": "AAMAAABkAAQAAP__"}
GET_PATHS = ("/", "/docs", "/openapi.json", "/healthz", "/readyz", "/metrics", "/v1/models", "/v2", "/v2/health/live")


@pytest.fixture
def body(posting: Posting) -> bytes:
    return json.dumps(posting).encode()


def chunked(body: bytes, trailers: bytes = b"", **headers: str) -> bytes:
    head, _, _ = request(b"", Transfer_Encoding="chunked", **headers).partition(b"content-length")
    return head + b"\r\n%x\r\n%b\r\n0\r\n%b\r\n" % (len(body), body, trailers)


def in_step(served: Listening, sent: bytes, body: bytes) -> list[int]:
    """Statuses of the answer to what was sent, and to a plain request behind it, sent at once or byte by byte."""
    statuses = []
    for pieces in ([sent], [sent[place : place + 1] for place in range(len(sent))]):
        talk = served.connect()
        for piece in pieces:
            talk.send(piece)
        statuses.append([talk.read().status, talk.post(body).status])
        talk.send(sent + request(body))
        assert [talk.read().status, talk.read().status] == statuses[-1]
    assert statuses[0] == statuses[1]
    return statuses[0]


def test_a_wish_for_another_protocol_changes_nothing(settings: Settings, body: bytes) -> None:
    with listening(settings) as served:
        assert in_step(served, request(body, **H2C), body) == [200, 200]
        assert in_step(served, chunked(body, **H2C), body) == [200, 200]
        assert in_step(served, request(body, Connection="keep-alive, upgrade", Upgrade="websocket"), body) == [200, 200]
        smuggled = b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n"
        assert in_step(served, request(smuggled, **H2C), body) == [400, 200]


def test_a_wish_for_another_protocol_and_for_the_end(settings: Settings, body: bytes) -> None:
    with listening(settings) as served:
        talk = served.connect()
        answer = talk.post(body, Connection="Upgrade, close", Upgrade="h2c")
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert talk.is_closed()


def test_a_tunnel_is_refused_and_what_follows_is_not_read(settings: Settings, body: bytes) -> None:
    with listening(settings) as served:
        talk = served.connect()
        talk.send(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n" + request(body))
        answer = talk.read()
        assert (answer.status, answer.headers["connection"]) == (405, "close")
        assert talk.is_closed()


def test_trailers_are_no_headers(settings: Settings, body: bytes) -> None:
    with listening(settings, access=AccessSettings(required=True, api_key=SecretStr(KEY))) as served:
        talk = served.connect()
        talk.send(chunked(body, f"Authorization: Bearer {KEY}\r\n".encode(), Authorization="Bearer wrong"))
        assert talk.read().status == 401
        talk.send(chunked(body, f"Authorization: Bearer {KEY}\r\n".encode()))
        assert talk.read().status == 401
        talk.send(chunked(body, b"X-Request-ID: late\r\n", Authorization=f"Bearer {KEY}", X_Request_ID="mine"))
        answer = talk.read()
        assert (answer.status, answer.body["request_id"]) == (200, "mine")
        talk.send(request(body, Authorization=f"Bearer {KEY}"))
        assert talk.read().status == 200


@pytest.mark.parametrize("trailer", [b"x", b"x: y", b"x: y\r\n"])
def test_trailers_and_chunk_extensions_have_an_end(settings: Settings, body: bytes, trailer: bytes) -> None:
    with listening(settings) as served:
        limit = served.settings.serving.http.max_header_bytes
        talk = served.connect()
        talk.send(chunked(body)[:-2])
        for _ in range(40):
            talk.send(trailer * (limit // 10 // len(trailer)))
        answer = talk.read()
        assert (answer.status, answer.headers["connection"]) == (431, "close")
        assert talk.is_closed()
        assert served.connect().post(body).status == 200


def test_head_is_get_without_its_body(settings: Settings, body: bytes) -> None:
    with listening(settings) as served:
        talk = served.connect()
        for path in GET_PATHS:
            talk.send(f"HEAD {path} HTTP/1.1\r\nhost: x\r\n\r\nGET /healthz HTTP/1.1\r\nhost: x\r\n\r\n".encode())
            assert talk.read(head_only=True).status == 200, path
            assert talk.read().body == {"status": "alive"}, path
        for path in ("/v1/classify", "/v1/models/other/classify", "/v1/nothing", "/v2/models/posting-classifier/infer"):
            talk.send(f"HEAD {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
            assert talk.read(head_only=True).status in (404, 405), path
            assert talk.post(body).status == 200


def test_many_requests_in_one_read_are_all_answered(settings: Settings, body: bytes) -> None:
    with listening(settings) as served:
        many = 2 * served.settings.serving.http.max_header_bytes // len(request(body)) + 1
        talk = served.connect()
        talk.send(request(body) * many + request(body)[:20])
        assert [talk.read().status for _ in range(many)] == [200] * many
        talk.send(request(body)[20:])
        assert talk.read().status == 200


@pytest.mark.parametrize(
    ("broken", "status"),
    [
        (b"POST /v1/classify HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nnot a size\r\n", 400),
        (b"no request\r\n\r\n", 400),
        (b"POST /v1/classifyHTTP/1.1\r\nhost: x\r\n\r\n", 505),
        (b"POST /v1/classify HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked\r\n\r\n", 501),
        (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
        (b"GET /healthz HTTP/2.0\r\nhost: x\r\n\r\n", 505),
        (b"GET /healthz#x HTTP/1.1\r\nhost: x\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nhost: x\r\nx: " + b"y" * 40_000 + b"\r\n\r\n", 431),
        (b"CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n", 405),
    ],
)
def test_what_came_before_a_broken_request_is_answered(
    settings: Settings, body: bytes, broken: bytes, status: int
) -> None:
    with listening(settings) as served:
        for before in range(3):
            talk = served.connect()
            talk.send(request(body) * before + broken + request(body))
            assert [talk.read().status for _ in range(before)] == [200] * before
            answer = talk.read()
            assert (answer.status, answer.headers["connection"]) == (status, "close")
            assert talk.is_closed()


def test_white_space_around_a_value_is_none_of_it(settings: Settings, body: bytes) -> None:
    with listening(settings, access=AccessSettings(required=True, api_key=SecretStr(KEY))) as served:
        assert served.connect().post(body, Authorization=f"  Bearer {KEY} \t ").status == 200
