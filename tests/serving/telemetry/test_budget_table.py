"""The table of the latency budget, from spans as the tracer writes them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from plumbline.errors import ContractError, MissingInputError
from plumbline.settings.serving_telemetry import TelemetrySettings
from serving.telemetry.budget_table import as_json, as_markdown, budget_table
from serving.telemetry.tracing import Tracing


def written(path: Path, requests: list[tuple[list[tuple[str, float]], str | None]], name: str = "classify") -> Path:
    tracing = Tracing(TelemetrySettings(trace_share=1.0, trace_file=path))
    for number, (stages, failed) in enumerate(requests):
        at = time.monotonic() - 1.0
        notes = tracing.begin({}, at)
        assert notes is not None
        for stage, seconds in stages:
            notes.stage(stage, at, at + seconds)
            at += seconds
        tracing.finish(notes, name, {"request_id": str(number)}, failed=failed)
    tracing.close()
    return path


def test_stages_come_in_their_order_with_what_lies_between(tmp_path: Path) -> None:
    path = written(tmp_path / "spans.jsonl", [([("queue", 0.1), ("model", 0.3)], None)] * 3)
    rows = {row.stage: row for row in budget_table(path)}
    assert list(rows) == ["queue", "model", "rest", "total"]
    assert rows["queue"].mean == pytest.approx(100, abs=0.01)
    assert rows["model"].p99 == pytest.approx(300, abs=0.01)
    assert rows["total"].share == 1.0
    assert sum(rows[stage].mean for stage in ("queue", "model", "rest")) == pytest.approx(rows["total"].mean, abs=0.01)
    assert as_markdown(budget_table(path)).count("\n") == 5
    assert [row["stage"] for row in as_json(budget_table(path))] == list(rows)


def test_refused_requests_are_left_out(tmp_path: Path) -> None:
    path = written(tmp_path / "spans.jsonl", [([("queue", 0.1)], None), ([("queue", 0.9)], "overloaded")])
    assert budget_table(path)[0].requests == 1


def test_routes_are_told_apart(tmp_path: Path) -> None:
    path = written(tmp_path / "spans.jsonl", [([("queue", 0.1)], None)])
    batch = written(tmp_path / "batch.jsonl", [([("answer", 0.2)], None)] * 2, name="classify:batch")
    path.write_bytes(path.read_bytes() + batch.read_bytes())
    assert [row.stage for row in budget_table(path)] == ["queue", "rest", "total"]
    assert [row.requests for row in budget_table(path, route="classify:batch")] == [2, 2, 2]
    with pytest.raises(MissingInputError, match="no answered request of infer"):
        budget_table(path, route="infer")


def test_files_that_say_nothing(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="TRACE_FILE"):
        budget_table(tmp_path / "none.jsonl")
    with pytest.raises(MissingInputError, match="no answered request"):
        budget_table(written(tmp_path / "spans.jsonl", [([], "overloaded")]))
    (tmp_path / "cut.jsonl").write_text('{"trace_id": "1"')
    with pytest.raises(ContractError, match="line 1: not a span"):
        budget_table(tmp_path / "cut.jsonl")
