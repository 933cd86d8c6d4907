"""Spans in a file, a line of JSON each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import orjson
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult


class SpanFile(SpanExporter):
    """Appends spans to a file.

    Args:
        path: The file; its folder is made.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Writes the spans: `trace_id`, `span_id`, `parent_id`, `name`, `start_ns`, `ms`, `attributes`, `failed`."""
        lines = b"".join(orjson.dumps(_row(span), option=orjson.OPT_APPEND_NEWLINE) for span in spans)
        try:
            with self._path.open("ab") as file:
                file.write(lines)
        except OSError:
            return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS


def _row(span: ReadableSpan) -> dict[str, object]:
    context = span.get_span_context()
    start, end = span.start_time or 0, span.end_time or 0
    return {
        "trace_id": f"{context.trace_id:032x}" if context is not None else None,
        "span_id": f"{context.span_id:016x}" if context is not None else None,
        "parent_id": f"{span.parent.span_id:016x}" if span.parent is not None else None,
        "name": span.name,
        "start_ns": start,
        "ms": round((end - start) / 1e6, 4),
        "attributes": dict(span.attributes or {}),
        "failed": None if span.status.is_ok or span.status.description is None else span.status.description,
    }
