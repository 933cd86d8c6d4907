"""Copied refusals: to the client the same as those made with care, and none where it could make a difference."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from http_listening import Listening, listening, request

from plumbline.settings import Settings
from serving.errors import RequestRefusedError
from serving.http.glance import StandingRefusal, glance, request_line_of
from serving.http.problems import problem_bytes

OVERLOADED = RequestRefusedError(503, "overloaded", 'Too much waits. "Retry" later.', retry_after=2)
BODY = b'{"posting_id": "p-1"}'


@pytest.fixture
def standing() -> dict[bytes, StandingRefusal]:
    return {request_line_of("/v1/classify"): StandingRefusal(OVERLOADED, "postings")}


@pytest.mark.parametrize("request_id", ["a", "client-0001", "~~~", "x" * 128, "request_id"])
def test_a_copy_is_what_the_careful_way_writes(standing: dict[bytes, StandingRefusal], request_id: str) -> None:
    seen = glance(request(BODY, X_Request_ID=request_id), standing)
    assert seen is not None
    more = [(b"server", b"x")]
    for copies in (1, 2):
        assert seen[0].copy(seen[1], more) == problem_bytes(OVERLOADED, request_id, more, close=False)
        assert (seen[0].copies, seen[0].last_id) == (copies, request_id)


def test_a_request_without_an_id_gets_one(standing: dict[bytes, StandingRefusal]) -> None:
    ids = {seen[1] for _ in range(3) if (seen := glance(request(BODY), standing)) is not None}
    assert len(ids) == 3


@pytest.mark.parametrize("headers", [{}, {"Connection": "keep-alive"}, {"Authorization": "Bearer k", "Accept": "*/*"}])
def test_plain_requests_are_recognised(standing: dict[bytes, StandingRefusal], headers: dict[str, str]) -> None:
    assert glance(request(BODY, **headers), standing) is not None
    assert glance(request(b"", **headers), standing) is not None


@pytest.mark.parametrize(
    "data",
    [
        request(BODY, "/v1/classify:batch"),
        request(BODY, "/v1/classify?a=b"),
        request(BODY).replace(b"POST", b"GET"),
        request(BODY).replace(b"HTTP/1.1", b"HTTP/1.0"),
        request(BODY)[:-1],
        request(BODY) + b"P",
        request(BODY) + request(BODY),
        request(BODY)[: -len(BODY)],
        request(BODY)[: -len(BODY) - 2],
        request(BODY, X_Latency_Budget_Ms="900"),
        request(BODY, Expect="100-continue"),
        request(BODY, Connection="close"),
        request(BODY, Connection="Keep-Alive, Upgrade"),
        request(BODY, Upgrade="websocket"),
        request(BODY, Transfer_Encoding="chunked"),
        request(BODY, content_length=str(len(BODY))),
        request(BODY).replace(b"\r\ncontent-length", b"\r\nx-content-length"),
        request(BODY).replace(b"\r\ncontent-length", b"\ncontent-length"),
        request(BODY).replace(b"content-length: ", b"content-length: +"),
        request(BODY).replace(b"content-length: ", b"content-length: 1 "),
        request(BODY).replace(b"content-length: ", b"content-length: " + b"0" * 5000),
        request(BODY, X_Request_ID=""),
        request(BODY, X_Request_ID="x" * 129),
        request(BODY, X_Request_ID='quoted"'),
        request(BODY, X_Request_ID="back\\slash"),
        request(BODY, X_Request_ID="two words"),
        b"",
        b"\r\n\r\n",
        b"POST /v1/classify",
        b"POST /v1/classify HTTP/1.1\r\n",
        b"POST /v1/classify HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00" * 20,
    ],
)
def test_whatever_could_make_a_difference_is_parsed(standing: dict[bytes, StandingRefusal], data: bytes) -> None:
    assert glance(data, standing) is None


def _overload(served: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lane refuses, and rounds are as long as the test: what is refused once is refused until `_leave_round`."""
    lane = served.replica.front.engine.lane()
    monkeypatch.setattr(lane, "overloaded", lambda budget, coming=0: OVERLOADED if budget < 10 else None)
    monkeypatch.setattr("serving.http.shedding.Shedder._enter_round", lambda self: None)


def test_copies_keep_the_connection_and_are_counted(
    settings: Settings, posting: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    body = json.dumps(posting).encode()
    with listening(settings) as served:
        talk, other = served.connect(), served.connect()
        shedder = served.replica._http._gate.shedder  # type: ignore[union-attr]
        with monkeypatch.context() as patched:
            _overload(served, patched)
            first = talk.post(body, X_Request_ID="first")
            copied = other.post(body, X_Request_ID="second")  # the first thing that this connection carries
            assert (copied.status, copied.headers) == (503, first.headers | {"content-length": str(_length(first) + 1)})
            assert copied.body == first.body | {"request_id": "second"}
            (standing,) = shedder.standing.values()
            assert (standing.copies, standing.last_id) == (1, "second")
            # On one connection copies, requests made with care, and answers follow each other.
            assert talk.post(body).status == 503
            assert talk.post(body, X_Latency_Budget_Ms="20000").status == 200
            assert talk.post(body).status == 503
            talk.send(request(body) + request(body))
            assert [talk.read().status for _ in range(2)] == [503, 503]
            whole = request(body)
            talk.send(whole[:20])
            served.run(_a_moment())
            talk.send(whole[20:])
            assert talk.read().status == 503
            assert standing.copies == 3
            served.run(_leave(shedder))
            assert not shedder.standing
        assert talk.post(body).status == other.post(body).status == 200
        counted = 'plumbline_requests_total{model="posting-classifier",reason="overloaded",status="503"} 7.0'
        assert counted in served.replica.front.metrics.exposition().decode()


def test_requests_that_are_read_in_one_round_copy_its_first_refusal(
    settings: Settings, posting: dict[str, Any]
) -> None:
    body = json.dumps(posting).encode()
    with listening(settings, max_waiting=1) as served:
        talks = [served.connect() for _ in range(20)]
        assert {talk.post(body).status for talk in talks} == {200}
        copied: list[int] = []

        async def all_at_once() -> None:
            for number, talk in enumerate(talks):
                talk.send(request(body, X_Request_ID=f"r{number}"))
            # The loop has not looked at a socket in between: one round reads them all.
            standing = served.replica._http._gate.shedder.standing  # type: ignore[union-attr]
            for _ in range(20):
                asyncio.get_running_loop().call_soon(
                    lambda: copied.extend(refusal.copies for refusal in standing.values())
                )
                await asyncio.sleep(0)

        served.run(all_at_once())
        answers = [talk.read() for talk in talks]
        assert {answer.body["request_id"] for answer in answers} == {f"r{number}" for number in range(20)}
        assert sorted(answer.status for answer in answers) == [200] + [503] * 19
        assert max(copied) == 18  # the first was let in, the second refused with care
        counted = 'plumbline_requests_total{model="posting-classifier",reason="overloaded",status="503"} 19.0'
        assert counted in served.replica.front.metrics.exposition().decode()


def _length(answer: Any) -> int:
    return int(answer.headers["content-length"])


async def _a_moment() -> None:
    await asyncio.sleep(0.05)


async def _leave(shedder: Any) -> None:
    shedder._leave_round(time.monotonic())
