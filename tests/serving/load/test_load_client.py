"""The load generator's client against a real server: nothing waits, nothing is hidden, errors are told apart."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any

import numpy as np
import pytest
from scripted_server import Arrived, ScriptedServer, reply

from plumbline.errors import DependencyError, UserError
from serving.load.client import send_all, send_closed
from serving.load.exchanges import Exchanges


def send(url: str, bodies: list[bytes], *, spacing: float = 0.001, timeout: float = 20.0, **options: Any) -> Exchanges:
    due = np.arange(len(bodies)) * spacing
    ids = [f"r{n}" for n in range(len(bodies))]
    return send_all(url, bodies, due, request_ids=ids, timeout=timeout, **options)


async def fine(arrived: Arrived) -> bytes:
    return reply(arrived.body)


def test_no_request_waits_for_the_answer_to_another() -> None:
    together = 40

    async def when_all_are_here(arrived: Arrived) -> bytes:
        while len(server.arrived) < together:
            await asyncio.sleep(0.001)
        return reply()

    with ScriptedServer(when_all_are_here) as server:
        exchanges = send(server.url, [b"x"] * together)
    assert exchanges.answered.all()
    assert server.connections == server.most_at_a_time == together


def test_a_stall_is_in_the_latency_of_every_request_that_was_due_in_it() -> None:
    stall = 0.5

    async def stalling(arrived: Arrived) -> bytes:
        await asyncio.sleep(max(0.0, server.arrived[0].at + stall - time.monotonic()))
        return reply()

    with ScriptedServer(stalling) as server:
        exchanges = send(server.url, [b"x"] * 60, spacing=0.01)
    in_it = exchanges.due < stall
    assert exchanges.answered.all()
    assert in_it.sum() == 50
    # The first request arrives when it is due or later, and nobody is answered before the stall is over.
    assert np.all(exchanges.latency[in_it] >= stall - exchanges.due[in_it])


def test_requests_carry_their_id_their_path_and_the_headers() -> None:
    with ScriptedServer(fine) as server:
        send(server.url, [b"a", b"b"], spacing=0.05, paths=["/one", "/two?x=1"], headers={"X-Budget": "5"})
        send(server.url + "?q=2", [b"c"])
    first, second, third = server.arrived
    assert [first.path, second.path, third.path] == ["/one", "/two?x=1", "/v1/classify?q=2"]
    assert (first.headers["x-request-id"], second.headers["x-request-id"]) == ("r0", "r1")
    assert first.headers["x-budget"] == "5"
    assert first.headers["content-type"] == "application/json"
    assert first.headers["host"] == f"127.0.0.1:{server.port}"
    assert (first.body, second.body, third.body) == (b"a", b"b", b"c")


_PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n"
_TO_THE_END = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello"
_OLD = b"HTTP/1.0 200 OK\r\n\r\nhello"


@pytest.mark.parametrize(
    "answer",
    [_PLAIN, _CHUNKED, _TO_THE_END, _PLAIN.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1),
     b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + _PLAIN],
)  # fmt: skip
def test_every_way_to_end_an_answer_is_understood(answer: bytes) -> None:
    taken: list[tuple[int, int, bytes]] = []

    async def in_pieces(arrived: Arrived) -> bytes:
        for place in range(len(answer) - 1):
            arrived.writer.write(answer[place : place + 1])
            await arrived.writer.drain()
        return answer[-1:] if b"close" not in answer else answer[-1:] + b""

    async def script(arrived: Arrived) -> bytes | None:
        arrived.writer.write(await in_pieces(arrived))
        await arrived.writer.drain()
        return None if b"close" in answer else b""

    with ScriptedServer(script) as server:
        exchanges = send(server.url, [b"x"] * 3, spacing=0.02, on_answer=lambda *answer: taken.append(answer))
    assert exchanges.answered.all()
    assert sorted(taken) == [(number, 200, b"hello") for number in range(3)]


def test_an_answer_of_http_1_0_ends_with_its_connection() -> None:
    async def script(arrived: Arrived) -> None:
        arrived.writer.write(_OLD)

    with ScriptedServer(script) as server:
        exchanges = send(server.url, [b"x"])
    assert exchanges.answered.all()


def test_errors_are_told_apart() -> None:
    async def script(arrived: Arrived) -> bytes | None:
        match arrived.body:
            case b"refused":
                return reply(b"", 503, "Retry-After: 7")
            case b"limited":
                return reply(b"", 429, "retry-after: Wed, 21 Oct 2026 07:28:00 GMT")
            case b"closed":
                return None
            case b"half":
                arrived.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nhal")
                return None
            case b"garbage":
                return b"SSH-2.0-OpenSSH_9.2\r\n"
            case b"never":
                await asyncio.sleep(60)
        return reply()

    bodies = [b"fine", b"refused", b"limited", b"closed", b"half", b"garbage", b"never", b"fine"]
    with ScriptedServer(script) as server:
        exchanges = send(server.url, bodies, timeout=2.0)
    assert exchanges.errors_by_kind() == {
        "connection closed": 2, "status 503": 1, "status 429": 1, "not HTTP": 1, "timeout": 1,
    }  # fmt: skip
    assert exchanges.retry_after == {1: 7.0}
    assert exchanges.latency[6] >= 2.0
    assert exchanges.answered[[0, 7]].all()


def test_nobody_there_is_an_error_not_a_crash() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        exchanges = send(f"http://127.0.0.1:{taken.getsockname()[1]}/", [b"x"] * 3)
    assert exchanges.errors_by_kind() == {"connection refused": 3}


def test_a_listener_that_accepts_nobody_times_out() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        exchanges = send(f"http://127.0.0.1:{deaf.getsockname()[1]}/", [b"x"] * 3, timeout=0.2)
    assert exchanges.errors_by_kind() == {"timeout": 3}


def test_above_the_limit_of_connections_requests_wait() -> None:
    async def slowly(arrived: Arrived) -> bytes:
        await asyncio.sleep(0.01)
        return reply()

    with ScriptedServer(slowly) as server:
        exchanges = send(server.url, [b"x"] * 10, most_connections=2)
    assert exchanges.answered.all()
    assert server.connections == 2


def test_requests_that_wait_for_a_connection_time_out_too() -> None:
    async def never(arrived: Arrived) -> None:
        await asyncio.sleep(60)

    with ScriptedServer(never) as server:
        exchanges = send(server.url, [b"x"] * 3, most_connections=1, timeout=0.3)
    assert exchanges.errors_by_kind() == {"timeout": 3}
    assert np.isnan(exchanges.sent).any() or len(server.arrived) == 3


def test_an_answer_that_nobody_asked_for_spoils_no_other() -> None:
    async def twice(arrived: Arrived) -> bytes:
        return reply(b"first") + reply(b"again", 408)

    with ScriptedServer(twice) as server:
        exchanges = send(server.url, [b"x"] * 3, spacing=0.05)
    assert exchanges.answered.all()
    assert server.connections == 3


def test_a_fault_in_a_callback_ends_the_run() -> None:
    def fails(*_: object) -> None:
        raise DependencyError("no classification")

    with ScriptedServer(fine) as server, pytest.raises(DependencyError, match="no classification"):
        send(server.url, [b"x"] * 3, on_answer=fails)


def test_clients_of_the_closed_loop_send_one_request_after_the_other() -> None:
    with ScriptedServer(fine) as server:
        exchanges = send_closed(server.url, [b"a", b"b"], clients=3, seconds=0.3, timeout=20)
    assert len(exchanges) == len(server.arrived) > 3
    assert exchanges.answered.all()
    assert server.connections == 3
    assert server.most_at_a_time <= 3
    assert {one.headers["x-request-id"] for one in server.arrived} == {f"closed-{n}" for n in range(len(exchanges))}


def test_the_closed_loop_ends_where_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        exchanges = send_closed(url, [b"x"], clients=2, seconds=0.2, timeout=1)
    assert set(exchanges.errors_by_kind()) == {"connection refused"}
    assert len(exchanges) < 50  # it does not knock in a busy loop


@pytest.mark.parametrize(
    ("url", "headers"),
    [("ftp://here", {}), ("http://", {}), ("http://here:x", {}), ("http://127.0.0.1/a b", {}),
     ("http://127.0.0.1", {"a b": "c"}), ("http://127.0.0.1", {"Host": "x"}),
     ("http://127.0.0.1", {"Authorization": "Bearer secret\r\nx: y"})],
)  # fmt: skip
def test_what_cannot_be_sent_is_refused_without_repeating_values(url: str, headers: dict[str, str]) -> None:
    with pytest.raises(UserError) as refused:
        send(url, [b""], headers=headers)
    assert "secret" not in str(refused.value)


def test_a_host_without_an_address_is_a_clear_error() -> None:
    with pytest.raises(DependencyError, match="has no address"):
        send("http://nobody.invalid/", [b""])


def test_lengths_and_order_are_checked() -> None:
    with pytest.raises(UserError, match="as many bodies"):
        send_all("http://127.0.0.1/", [b""], [0.0, 1.0], request_ids=["a", "b"], timeout=1)
    with pytest.raises(UserError, match="ascending"):
        send_all("http://127.0.0.1/", [b"", b""], [1.0, 0.0], request_ids=["a", "b"], timeout=1)
