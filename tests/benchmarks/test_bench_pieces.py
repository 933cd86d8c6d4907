"""The smaller benchmarks still fit what they measure, and say what they found."""

from __future__ import annotations

import socket

import numpy as np
import pytest
import uvloop

from benchmarks import front, overload, prediction_log, swap
from plumbline.errors import PlumblineError


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_front_is_measured() -> None:
    found = uvloop.run(front.measure(64, _free_port()))
    assert set(found) >= {
        "read and written, not parsed",
        "uvicorn, bare",
        "/v1/classify",
        "/v1/classify, refused at the headers",
    }
    assert all(value > 0 for value in found.values())


def test_the_prediction_log_is_measured() -> None:
    found = prediction_log.measure(64)
    assert {"batches of 1", "batches of 64, masked", "shipped"} <= set(found)
    assert found["shipped"] > 0


def _row(factor: float, goodput: float, p99: float | None = 40.0) -> dict[str, object]:
    return {
        "factor": factor,
        "rate": round(1000 * factor),
        "goodput_rps": goodput,
        "p50_ms": None if p99 is None else p99 / 2,
        "p99_ms": p99,
        "errors_by_kind": {"status 503": 1200},
        "repeats": {"goodput_rps": {"min": goodput - 1, "max": goodput + 1}},
    }


@pytest.mark.parametrize(
    ("last", "p99", "kept", "met"),
    [(950.0, 45.0, 0.95, True), (890.0, 45.0, 0.89, False), (950.0, 51.0, 0.95, False), (0.0, None, 0.0, False)],
)
def test_overload_is_met_by_goodput_and_by_p99(last: float, p99: float | None, kept: float, met: bool) -> None:
    rows = [_row(1.0, 900.0), _row(1.5, 1000.0, 60.0), _row(3.0, last, p99)]
    found = overload._judged(rows)
    assert (found["kept"], found["met"]) == (kept, met)
    system = {"name": "a", "title": "A", "capacity": 1000, "failure": None, **found}
    machine = {"processors": 2, "processor": "P"}
    text = overload.markdown({"machine": machine, "repeats": 3, "seconds": 5.0, "systems": [system]})
    assert f"at 3 times that, {kept:.0%} of the peak" in text
    assert "| 3 | 3,000 |" in text
    assert "1,200 status 503" in text


def test_an_overload_that_was_not_measured_to_the_end_is_not_met() -> None:
    assert overload._judged([]) == {"rows": [], "kept": None, "met": False}
    assert overload._judged([_row(1.0, 900.0)])["met"] is False


def test_a_swap_counts_from_the_alias_to_the_first_answer() -> None:
    due = np.array([0.0, 1.0, 2.0, 3.0])
    versions = {0: "1", 1: "1", 2: "2", 3: "2"}
    found = swap._swap(due, due + 0.01, versions, 0.5, "2")
    assert (found["seconds_until_it_answers"], found["over_at"]) == (1.51, 2.51)
    with pytest.raises(PlumblineError, match="Version 3 never answered"):
        swap._swap(due, due + 0.01, versions, 0.5, "3")
