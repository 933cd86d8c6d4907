"""Traces: what is traced, whose child it is, and what its spans say."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from plumbline.settings.serving_telemetry import TelemetrySettings
from serving.telemetry.tracing import Tracing

CALLER = "4bf92f3577b34da6a3ce929d0e0e4736"


def traceparent(flags: str = "01", trace: str = CALLER, span: str = "00f067aa0ba902b7") -> dict[bytes, bytes]:
    return {b"traceparent": f"00-{trace}-{span}-{flags}".encode()}


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_without_a_destination_nothing_is_traced() -> None:
    assert Tracing(TelemetrySettings(trace_share=1.0)).begin(traceparent(), 0.0) is None


@pytest.mark.parametrize(
    ("share", "headers", "traced"),
    [
        (1.0, {}, True),
        (0.0, {}, False),
        (0.0, traceparent("01"), True),
        (1.0, traceparent("00"), False),
        (1.0, {b"traceparent": b"nonsense"}, True),
        (0.0, {b"traceparent": b"nonsense"}, False),
        (0.0, traceparent(trace="0" * 32), False),
        (0.0, {b"traceparent": b"ff" + traceparent()[b"traceparent"][2:]}, False),
    ],
)
def test_the_callers_decision_is_followed(
    tmp_path: Path, share: float, headers: dict[bytes, bytes], traced: bool
) -> None:
    tracing = Tracing(TelemetrySettings(trace_share=share, trace_file=tmp_path / "spans.jsonl"))
    assert (tracing.begin(headers, 0.0) is not None) is traced
    tracing.close()


def test_stages_are_children_of_the_request_which_is_the_callers_child(tmp_path: Path) -> None:
    tracing = Tracing(TelemetrySettings(trace_file=tmp_path / "spans.jsonl"))
    start = time.monotonic() - 1.0
    notes = tracing.begin(traceparent(), start)
    assert notes is not None
    notes.stage("queue", start, start + 0.25)
    notes.stage("model", start + 0.25, start + 0.75)
    trace_id = tracing.finish(notes, "classify", {"request_id": "r-1"}, failed=None)
    tracing.close()
    spans = {span["name"]: span for span in lines(tmp_path / "spans.jsonl")}
    assert trace_id == CALLER
    assert {span["trace_id"] for span in spans.values()} == {CALLER}
    assert spans["classify"]["parent_id"] == "00f067aa0ba902b7"
    assert spans["classify"]["attributes"] == {"request_id": "r-1"}
    assert {spans[stage]["parent_id"] for stage in ("queue", "model")} == {spans["classify"]["span_id"]}
    assert [spans[stage]["ms"] for stage in ("queue", "model")] == pytest.approx([250.0, 500.0], abs=0.01)
    assert spans["classify"]["ms"] >= 1000
    assert abs(spans["classify"]["start_ns"] / 1e9 - (time.time() - 1.0)) < 60


def test_a_refused_request_says_so(tmp_path: Path) -> None:
    tracing = Tracing(TelemetrySettings(trace_share=1.0, trace_file=tmp_path / "spans.jsonl"))
    notes = tracing.begin({}, time.monotonic())
    assert notes is not None
    tracing.finish(notes, "classify", {}, failed="overloaded")
    tracing.close()
    assert lines(tmp_path / "spans.jsonl")[0]["failed"] == "overloaded"


@pytest.fixture
def collector() -> Iterator[tuple[str, list[ExportTraceServiceRequest]]]:
    """An OTLP receiver: parses what comes with the protocol's own messages."""
    received: list[ExportTraceServiceRequest] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                import gzip

                body = gzip.decompress(body)
            received.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/traces", received
    server.shutdown()
    server.server_close()


def test_a_collector_gets_the_spans(collector: tuple[str, list[ExportTraceServiceRequest]]) -> None:
    url, received = collector
    tracing = Tracing(TelemetrySettings(trace_share=1.0, otlp_endpoint=url))
    notes = tracing.begin({}, time.monotonic())
    assert notes is not None
    notes.stage("model", notes.received, notes.received + 0.001)
    tracing.finish(notes, "classify", {"request_id": "r-1"}, failed=None)
    tracing.close()
    (resource,) = received[0].resource_spans
    attributes = {item.key: item.value.string_value for item in resource.resource.attributes}
    assert attributes["service.name"] == "plumbline-serving"
    assert {span.name for scope in resource.scope_spans for span in scope.spans} == {"classify", "model"}
