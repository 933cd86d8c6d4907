"""The same bytes mean the same to our server and to h11, or we refuse them: else a proxy could be led astray."""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import Sequence

from http_messages import Understood, conversation, understood_by_h11
from hypothesis import HealthCheck, given, settings
from starlette.types import Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.server import ServerState

from plumbline.settings.serving_http import HttpSettings
from serving.http.connection import Connection
from serving.http.drain import Drain
from serving.http.gate import Gate
from serving.http.shedding import Shedder

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "200"))


_READ_BY_SERVERS = {b"upgrade", b"http2-settings", b"connection", b"transfer-encoding", b"content-length"}


class NothingShed(Shedder):
    """Lets everything pass; refusals of the server itself have a name."""

    def __init__(self) -> None:
        self.standing = {}

    def arrived(self) -> float:
        return 0.0

    def refusal(self, path: bytes, headers: object) -> None:
        return None

    def count(self, error: object) -> str:
        return "refused"


async def understood_by_us(pieces: Sequence[bytes]) -> Understood:
    """What our connection makes of them, with an application that answers each request with 200 once it is whole."""
    found = Understood()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while True:
            part = await receive()
            if part["type"] == "http.disconnect":
                return
            body += part["body"]
            if not part["more_body"]:
                break
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        found.requests.append((scope["method"].encode(), target, list(scope["headers"]), body))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    loop = asyncio.get_running_loop()
    client, server = socket.socketpair()
    server.setblocking(False)
    client.setblocking(False)
    config = Config(app, http="httptools", ws="none", interface="asgi3", log_config=None, access_log=False)
    config.load()
    state = ServerState()
    gate = Gate(HttpSettings(), NothingShed(), Drain(None))
    transport, connection = await loop.connect_accepted_socket(
        lambda: Connection(config, state, {}, loop, gate=gate), server
    )
    for piece in pieces:
        if transport.is_closing():
            break
        connection.data_received(piece)
        for _ in range(50):
            await asyncio.sleep(0)
            if not state.tasks:
                break
    answers = b""
    try:
        while part := client.recv(65536):
            answers += part
    except BlockingIOError:
        pass
    found.refused = re.search(rb"HTTP/1.1 [45]", answers) is not None
    transport.abort()
    client.close()
    await asyncio.sleep(0)
    return found


def _comparable(understood: Understood) -> list[tuple[object, ...]]:
    """What must be the same; not what h11 rewrites and we take off, whose effect the bodies show."""
    return [
        (
            method,
            re.sub(rb"^http://x(?=/)", b"", target),
            [(name, value) for name, value in headers if name not in _READ_BY_SERVERS],
            body,
        )
        for method, target, headers, body in understood.requests
    ]


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(conversation())
def test_the_same_bytes_are_the_same_requests_or_refused(pieces: list[bytes]) -> None:
    theirs, ours = understood_by_h11(b"".join(pieces)), asyncio.run(understood_by_us(pieces))
    assert _comparable(ours) == _comparable(theirs)[: len(ours.requests)]
    assert ours.refused or not theirs.refused
    assert ours.refused or len(ours.requests) == len(theirs.requests)
