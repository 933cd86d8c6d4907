"""Figures of a run: computed from exchanges whose times are given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

from plumbline.errors import DependencyError
from serving.load.answers import AnswerReader
from serving.load.exchanges import TIMEOUT, Exchanges, Recorder, merge
from serving.load.histograms import Latencies, write_log
from serving.load.progress import Sampler
from serving.load.summary import by_second, judge_generator, summarise


def exchanges(due: Any, latency: Any, status: Any = 200, lag: Any = 0.0, cpu: float = 0.0) -> Exchanges:
    due = np.asarray(due, dtype=float)
    started = due + lag
    return Exchanges(
        due, started, started, due + latency, np.full(len(due), status, dtype=np.int16) if np.isscalar(status)
        else np.asarray(status, dtype=np.int16), {}, cpu,
    )  # fmt: skip


def answer(**changes: Any) -> bytes:
    return orjson.dumps(
        {"label": "a", "model": {"version": "7"}, "degraded": False, "timings_ms": {"queue": 1.0, "total": 3.0}}
        | changes
    )


def test_latency_counts_from_when_a_request_was_due() -> None:
    late = exchanges(np.arange(10) * 0.01, 0.6 - np.arange(10) * 0.01, lag=0.5 - np.arange(10) * 0.01)
    result = summarise(late, AnswerReader(0), seconds=0.1, budget_ms=50)
    assert result["max_ms"] == pytest.approx(600, rel=0.01)
    assert result["p50_ms"] > 500
    assert (result["good"], result["within_budget"], result["goodput_rps"]) == (0, 0, 0)


def test_good_answers_are_those_inside_the_budget_and_errors_are_none() -> None:
    status = [200, 200, 503, TIMEOUT]
    some = exchanges([0, 0.5, 1, 1.5], [0.05, 0.051, 0.001, 2.0], status)
    result = summarise(some, AnswerReader(0), seconds=2, budget_ms=50)
    assert (result["sent"], result["answered"], result["good"], result["errors"]) == (4, 2, 1, 2)
    assert result["errors_by_kind"] == {"status 503": 1, "timeout": 1}
    assert (result["goodput_rps"], result["within_budget"]) == (0.5, 0.25)
    assert result["rate"] == pytest.approx(2 / 3.5, abs=0.01)
    assert result["max_ms"] == pytest.approx(51, rel=0.002)


def test_where_nothing_was_answered_there_is_no_latency() -> None:
    result = summarise(exchanges([0, 1], 0.1, 503), AnswerReader(0), seconds=2, budget_ms=50)
    assert result["p99_ms"] is result["max_ms"] is result["mean_ms"] is None


def test_the_generator_is_blamed_for_its_own_lateness_and_for_being_busy() -> None:
    good = exchanges(np.arange(100) * 0.01, 0.01, cpu=0.01)
    late = exchanges(np.arange(100) * 0.01, 0.01, lag=0.006, cpu=0.01)
    busy = exchanges(np.arange(100) * 0.01, 0.01, cpu=0.95)
    assert judge_generator(good, good, budget_ms=50, processes=1)["generator_ok"]
    assert not judge_generator(late, late, budget_ms=50, processes=1)["generator_ok"]
    assert judge_generator(late, late, budget_ms=100, processes=1)["generator_ok"]
    assert "more --processes" in judge_generator(busy, busy, budget_ms=50, processes=1)["generator_warnings"][0]
    assert judge_generator(busy, busy, budget_ms=50, processes=2)["generator_ok"]


def test_seconds_are_those_in_which_requests_were_due() -> None:
    some = exchanges([2.0, 2.5, 4.1], [1.2, 0.01, 0.02], [200, 503, 200])
    rows = by_second(some, budget_ms=50)
    assert [row["second"] for row in rows] == [2, 3, 4]
    assert [(row["due"], row["answered"], row["good"], row["errors"]) for row in rows] == [
        (2, 0, 0, {"status 503": 1}), (0, 1, 0, {}), (1, 1, 1, {}),
    ]  # fmt: skip
    assert rows[1]["p99_ms"] is None
    assert rows[0]["max_ms"] == pytest.approx(1200)


def test_the_histogram_keeps_three_digits_and_its_curve_counts_nines() -> None:
    latencies = Latencies(np.arange(1, 10_001) / 1e4)
    assert latencies.percentile_ms(50) == pytest.approx(500, rel=0.001)
    assert latencies.percentile_ms(99.9) == pytest.approx(999, rel=0.001)
    curve = latencies.curve()
    assert curve[0][0] == 0
    assert curve[-1][0] == pytest.approx(99.99)
    assert [ms for _, ms in curve] == sorted(ms for _, ms in curve)


def test_the_log_can_be_read_by_hdrhistogram_itself(tmp_path: Path) -> None:
    some = exchanges(np.arange(300) * 0.01, np.linspace(0.001, 0.03, 300))
    write_log(tmp_path / "logs" / "run.hlog", some, started_at=1_700_000_000.25)
    total = HdrHistogram(1, 3_600_000_000, 3)
    reader = HistogramLogReader(str(tmp_path / "logs" / "run.hlog"), total)
    counts = []
    while (one := reader.get_next_interval_histogram()) is not None:
        counts.append(one.get_total_count())
    assert counts == [100, 100, 100]


def test_answers_of_the_warm_up_are_not_counted() -> None:
    reader = AnswerReader(first=2)
    for number in range(4):
        reader.take(number, 200, answer(degraded=number % 2 == 1))
    reader.take(4, 503, b"<html>")
    assert (reader.answered, reader.degraded, dict(reader.by_version)) == (2, 1, {"7": 2})
    assert reader.server_mean_ms() == {"queue": 1.0, "total": 3.0}


def test_a_batch_is_counted_row_by_row() -> None:
    rows = b",".join([answer(), orjson.dumps({"title": "prediction-failed", "status": 500}), answer()])
    reader, whole = AnswerReader(0), AnswerReader(0)
    reader.take(1, 200, b'{"results":[' + rows + b"]}")
    assert (reader.answered, dict(reader.rows_refused), reader.refused) == (2, {"prediction-failed": 1}, {(1, 1)})
    whole.add(reader, np.array([5, 9]))
    assert (whole.answered, whole.refused) == (2, {(9, 1)})


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"results": 3}'])
def test_an_answer_that_is_no_classification_is_an_error(body: bytes) -> None:
    with pytest.raises(DependencyError, match="no classification"):
        AnswerReader(0).take(0, 200, body)


def test_parts_of_several_processes_are_merged_in_order() -> None:
    first, second = exchanges([0, 2], 0.1, [200, 503], cpu=1), exchanges([1, 3], 0.2, cpu=2)
    second.retry_after[1] = 5.0
    whole = merge([first, second], [np.array([0, 2]), np.array([1, 3])])
    assert whole.due.tolist() == [0, 1, 2, 3]
    assert whole.status.tolist() == [200, 200, 503, 200]
    assert (whole.retry_after, whole.cpu_seconds) == ({3: 5.0}, 3)
    part = whole.due_within(2)
    assert (len(part), part.retry_after) == (2, {1: 5.0})


def test_progress_counts_each_request_once_when_it_has_ended() -> None:
    recorder = Recorder()
    sampler = Sampler(recorder, lambda _: None)
    for due in (0.0, 1.0, 2.0):
        recorder.begin(due, due)
    recorder.ended[1], recorder.status[1] = 1.010, 200
    one = sampler.sample()
    assert (one.begun, one.answered, one.failed) == (3, 1, 0)
    assert one.p99_ms() == pytest.approx(10, rel=0.03)
    recorder.ended[0], recorder.status[0] = 3.0, 200
    recorder.ended[2], recorder.status[2] = 3.0, TIMEOUT
    recorder.begin(4.0, 4.0)
    two = sampler.sample()
    assert (two.begun, two.answered, two.failed) == (1, 1, 1)
    assert two.p99_ms() == pytest.approx(3000, rel=0.03)
    assert sampler.sample().p99_ms() is None
