"""Bytes that are nearly HTTP/1.1, and what h11 makes of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import h11
from hypothesis import strategies as st

_METHODS = [b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"get", b"G@T", b""]
_TARGETS = [b"/v1/classify", b"/a?b=%20", b"*", b"http://x/a", b"/a b", b"/\x00", b"/\xff", b"", b"/a#b"]
_VERSIONS = [b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"http/1.1", b"HTTP/1.1 ", b"HTTP/11", b""]
_ENDS = [b"\r\n", b"\n", b"\r", b"\r\r\n", b" \r\n"]
_LENGTHS = [b"5", b"0", b"05", b"+5", b"-1", b"5, 5", b"5,6", b"0x5", b"5 ", b" 5", b"", b"5\x0b", b"1e1", b"9" * 30]
_CODINGS = [
    b"chunked",
    b"Chunked",
    b"identity",
    b"gzip, chunked",
    b"chunked, chunked",
    b"xchunked",
    b"chunked;q=1",
    b"",
]
_OTHERS = [
    b"Connection: close",
    b"Connection: keep-alive",
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA",
    b"Expect: 100-continue",
    b"Accept: a, b",
    b"X-A:",
    b"X-A:  b\tc  ",
    b"X A: b",
    b"X-A : b",
    b" X-A: b",
    b"X-A: b\r\n folded: c",
    b"X-A",
    b": b",
    b"X-A: \x00",
    b"X-A: \x7f\xff",
    b"X-A: b\rc",
    b"Host: y",
    b"X-" + b"a" * 300 + b": b",
]
_CHUNK_SIZES = [
    b"5",
    b"05",
    b"5;a=b",
    b"5 ",
    b" 5",
    b"5;",
    b"0x5",
    b"+5",
    b"-5",
    b"G",
    b"",
    b"F" * 17,
    b"0000000000000005",
]
_TRAILERS = [b"", b"", b"", b"X-A: b\r\n", b"Content-Length: 3\r\n", b"X-A\r\n", b"Host: z\n"]


def _mostly(usual: bytes, others: list[bytes]) -> st.SearchStrategy[bytes]:
    return st.one_of(st.just(usual), st.just(usual), st.just(usual), st.sampled_from(others))


_end = _mostly(b"\r\n", _ENDS)


@st.composite
def _chunks(draw: st.DrawFn) -> bytes:
    parts = []
    for _ in range(draw(st.integers(0, 2))):
        parts += [
            draw(_mostly(b"5", _CHUNK_SIZES)),
            draw(_end),
            draw(_mostly(b"hello", [b"hell", b"hello!"])),
            draw(_end),
        ]
    return b"".join(
        [
            *parts,
            draw(_mostly(b"0", [b"00", b"0;a", b"", b"-0"])),
            draw(_end),
            draw(st.sampled_from(_TRAILERS)),
            draw(_end),
        ]
    )


@st.composite
def message(draw: st.DrawFn) -> bytes:
    """One request, mostly a good one."""
    head = [
        draw(_mostly(b"POST", _METHODS)),
        draw(_mostly(b" ", [b"\t", b""])),
        draw(_mostly(b"/v1/classify", _TARGETS)),
        draw(_mostly(b" ", [b"\t", b""])),
        draw(_mostly(b"HTTP/1.1", _VERSIONS)),
        draw(_end),
    ]
    lines = draw(st.lists(st.sampled_from(_OTHERS), max_size=2))
    lines.insert(0, draw(_mostly(b"Host: x", [b"host:x", b"Host: ", b"X-No: host"])))
    kinds = draw(st.sampled_from(["none", "length", "length", "chunked", "chunked", "both", "twice"]))
    if kinds in ("length", "both", "twice"):
        lines.append(b"Content-Length: " + draw(_mostly(b"5", _LENGTHS)))
    if kinds == "twice":
        lines.append(b"Content-Length: " + draw(_mostly(b"5", _LENGTHS)))
    if kinds in ("chunked", "both"):
        lines.append(b"Transfer-Encoding: " + draw(_mostly(b"chunked", _CODINGS)))
    for line in draw(st.permutations(lines)):
        head += [line, draw(_end)]
    head.append(draw(_end))
    body = b"" if kinds == "none" else draw(_chunks()) if kinds in ("chunked", "both") else b"hello"
    return b"".join(head) + body


@st.composite
def conversation(draw: st.DrawFn) -> list[bytes]:
    """Up to three requests, one behind the other, in pieces as they might be read."""
    sent = b"".join(draw(st.lists(message(), min_size=1, max_size=3)))
    places = sorted(draw(st.sets(st.integers(1, max(1, len(sent) - 1)), max_size=3)))
    return [sent[start:end] for start, end in zip([0, *places], [*places, len(sent)], strict=True)]


@dataclass
class Understood:
    """What a server makes of bytes.

    Attributes:
        requests: Whole ones: method, target, headers, body.
        refused: Whether it then refused to go on.
    """

    requests: list[tuple[bytes, bytes, list[tuple[bytes, bytes]], bytes]] = field(default_factory=list)
    refused: bool = False


def understood_by_h11(sent: bytes) -> Understood:
    """What h11 makes of them, as a server that answers each request with 200 once it is whole."""
    found, connection = Understood(), h11.Connection(h11.SERVER)
    connection.receive_data(sent)
    request, body = None, b""
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                request, body = event, b""
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                assert request is not None
                found.requests.append((request.method, request.target, list(request.headers), body))
                connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
                connection.send(h11.EndOfMessage())
                if connection.our_state is h11.MUST_CLOSE:
                    return found
                connection.start_next_cycle()
            else:  # more is needed
                return found
    except h11.RemoteProtocolError:
        found.refused = True
        return found
