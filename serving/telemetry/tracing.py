"""Traces of requests, from the socket to the model and back (OpenTelemetry, W3C Trace Context).

A request that is not traced costs one look at its headers. A traced one notes when its stages began and ended; the
spans are made from these notes after its answer has left, so that tracing does not stretch what it measures.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags

from plumbline import __version__
from plumbline.settings.serving_telemetry import TelemetrySettings
from serving.telemetry.span_file import SpanFile

_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_SAMPLED = 0x01


@dataclass(slots=True)
class RequestTrace:
    """Notes of one traced request. Instants are readings of `time.monotonic()`."""

    received: float
    parent: SpanContext | None
    stages: list[tuple[str, float, float]] = field(default_factory=list)

    def stage(self, name: str, start: float, end: float) -> None:
        """Notes a stage."""
        self.stages.append((name, start, end))


class Tracing:
    """Decides what is traced, and hands spans on.

    Args:
        settings: Share and destinations. Without a destination nothing is traced.
    """

    def __init__(self, settings: TelemetrySettings) -> None:
        self._share = settings.trace_share
        self._provider: TracerProvider | None = None
        if settings.otlp_endpoint is None and settings.trace_file is None:
            return
        resource = Resource.create({"service.name": "plumbline-serving", "service.version": __version__})
        self._provider = TracerProvider(resource=resource)
        if settings.otlp_endpoint is not None:
            # Batched in a thread; when the collector is away the queue (2048 spans) overflows and spans are dropped.
            exporter = OTLPSpanExporter(endpoint=settings.otlp_endpoint)
            self._provider.add_span_processor(BatchSpanProcessor(exporter))
        if settings.trace_file is not None:
            self._provider.add_span_processor(BatchSpanProcessor(SpanFile(Path(settings.trace_file))))
        self._tracer = self._provider.get_tracer("plumbline.serving")

    def begin(self, headers: Mapping[bytes, bytes], received: float) -> RequestTrace | None:
        """Notes for a request, or None if it is not traced.

        Args:
            headers: By lower-case name; of gRPC, its metadata.
            received: When the request came.
        """
        if self._provider is None:
            return None
        parent = _parent(headers.get(b"traceparent"))
        if parent is None:
            # Which requests are looked at closer is no secret.
            return RequestTrace(received, None) if random.random() < self._share else None  # noqa: S311
        return RequestTrace(received, parent) if parent.trace_flags.sampled else None

    def finish(
        self, notes: RequestTrace, name: str, attributes: Mapping[str, str | int | float | bool], *, failed: str | None
    ) -> str:
        """Makes the spans of a request that is over.

        Args:
            notes: What was noted.
            name: Of the outermost span, such as `classify`.
            attributes: Of the outermost span; `request_id` among them.
            failed: Kind of problem if the request got no prediction.

        Returns:
            The trace's id, 32 hexadecimal digits.
        """
        assert self._provider is not None
        ahead = time.time() - time.monotonic()
        context = None if notes.parent is None else trace.set_span_in_context(NonRecordingSpan(notes.parent), Context())
        span = self._tracer.start_span(
            name,
            context=context or Context(),
            kind=SpanKind.SERVER,
            attributes=dict(attributes),
            start_time=_nanoseconds(notes.received + ahead),
        )
        inner = trace.set_span_in_context(span, Context())
        for stage, start, end in notes.stages:
            child = self._tracer.start_span(stage, context=inner, start_time=_nanoseconds(start + ahead))
            child.end(_nanoseconds(end + ahead))
        if failed is not None:
            span.set_status(StatusCode.ERROR, failed)
        span.end(_nanoseconds(time.monotonic() + ahead))
        return f"{span.get_span_context().trace_id:032x}"

    def close(self) -> None:
        """Hands on what waits."""
        if self._provider is not None:
            self._provider.shutdown()


def _parent(header: bytes | None) -> SpanContext | None:
    """The caller's span; None if there is none, or none that is valid (which the standard wants ignored)."""
    found = None if header is None else _TRACEPARENT.fullmatch(header.strip())
    if found is None or header is None or header.startswith(b"ff"):
        return None
    trace_id, span_id = int(found[1], 16), int(found[2], 16)
    if not trace_id or not span_id:
        return None
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(int(found[3], 16) & _SAMPLED))


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
