"""The load generator's client: due times, honest latencies, errors told apart."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import orjson
import pytest

from plumbline.errors import DependencyError, UserError
from serving.load.answers import AnswerReader
from serving.load.arrivals import due_times
from serving.load.client import send_all
from serving.load.exchanges import Exchanges
from serving.load.report import summarise


class _Server(BaseHTTPRequestHandler):
    """Answers well, except for bodies that name a fault."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if body == b"slow":
            time.sleep(0.3)
        answer = orjson.dumps(
            {
                "request_id": self.headers["x-request-id"],
                "model": {"version": "7"},
                "degraded": body == b"degraded",
                "timings_ms": {"queue": 1.0, "total": 3.0},
            }
        )
        self.send_response(503 if body == b"refused" else 200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments: object) -> None:
        """Says nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    listener = ThreadingHTTPServer(("127.0.0.1", 0), _Server)
    thread = threading.Thread(target=listener.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{listener.server_address[1]}/"
    listener.shutdown()
    thread.join()
    listener.server_close()


def send(
    url: str, bodies: list[bytes], *, spacing: float = 0.01, timeout: float = 5.0, answers: AnswerReader | None = None
) -> Exchanges:
    due = np.arange(len(bodies)) * spacing
    ids = [f"r{n}" for n in range(len(bodies))]
    return send_all(
        url, bodies, due, request_ids=ids, timeout=timeout, on_answer=None if answers is None else answers.take
    )


def test_constant_arrivals_are_evenly_spaced() -> None:
    due = due_times(100, 2, "constant", 0)
    assert len(due) == 200
    assert np.allclose(np.diff(due), 0.01)


def test_poisson_arrivals_have_the_rate_and_exponential_gaps() -> None:
    due = due_times(100, 200, "poisson", 1)
    assert len(due) == 20_000
    assert np.all(np.diff(due) >= 0)
    gaps = np.diff(due)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.03)
    assert np.array_equal(due, due_times(100, 200, "poisson", 1))


def test_a_slow_answer_delays_no_other_request(server: str) -> None:
    exchanges = send(server, [b"slow"] + [b"fine"] * 20)
    assert exchanges.latency[0] >= 0.3
    assert exchanges.ended[1:].min() < exchanges.ended[0]
    assert exchanges.answered.all()


def test_errors_are_counted_by_kind(server: str) -> None:
    answers = AnswerReader(0)
    exchanges = send(server, [b"fine", b"refused", b"slow", b"degraded"], timeout=0.2, answers=answers)
    result = summarise(exchanges, answers, budget_ms=100_000)
    assert result["errors_by_kind"] == {"status 503": 1, "timeout": 1}
    assert (result["sent"], result["answered"], result["errors"], result["degraded"]) == (4, 2, 2, 1)
    assert result["within_budget"] == 0.5
    assert result["by_version"] == {"7": 2}
    assert result["server_mean_ms"] == {"queue": 1.0, "total": 3.0}


def test_nobody_there_is_an_error_not_a_crash() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        exchanges = send(f"http://127.0.0.1:{taken.getsockname()[1]}/", [b"fine"] * 3)
    result = summarise(exchanges, AnswerReader(0), budget_ms=50)
    assert result["errors_by_kind"] == {"connection refused": 3}
    assert result["p99_ms"] is None


def test_latency_counts_from_when_a_request_was_due() -> None:
    due = np.arange(10) * 0.01
    late = Exchanges(
        due, np.full(10, 0.5), np.full(10, 0.5), np.full(10, 0.6), np.full(10, 200, dtype=np.int16), {}, 0.0
    )
    result = summarise(late, AnswerReader(0), budget_ms=50)
    assert result["max_ms"] == pytest.approx(600, rel=0.01)
    assert result["p50_ms"] > 500
    assert result["send_lag_p99_ms"] == pytest.approx(500, rel=0.01)
    assert result["within_budget"] == 0


def test_an_answer_that_is_no_classification_ends_the_run(server: str) -> None:
    reader = AnswerReader(0)
    with pytest.raises(DependencyError, match="no classification"):
        reader.take(0, 200, b"<html>")


@pytest.mark.parametrize(
    ("url", "headers"),
    [("ftp://here", {}), ("http://", {}), ("http://here:x", {}), ("http://127.0.0.1", {"a b": "c"}),
     ("http://127.0.0.1", {"Host": "x"}), ("http://127.0.0.1", {"Authorization": "Bearer a\r\nx: y"})],
)  # fmt: skip
def test_what_cannot_be_sent_is_refused_without_repeating_values(url: str, headers: dict[str, str]) -> None:
    with pytest.raises(UserError) as refused:
        send_all(url, [b""], [0.0], request_ids=["r"], timeout=1, headers=headers)
    assert "Bearer" not in str(refused.value)
