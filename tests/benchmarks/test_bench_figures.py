"""Rows of the serving benchmark: repeats put together."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.serving.figures import row
from benchmarks.serving.loads import LOADS, select_loads
from benchmarks.serving.systems import SYSTEMS
from plumbline.errors import UserError
from tests.benchmarks.bench_samples import sample

_OURS = SYSTEMS[0]
_LOAD = LOADS[1]


def test_rates_are_means_and_percentiles_those_of_all_repeats() -> None:
    quick, slow = sample([10.0] * 100), sample([40.0] * 50 + [60.0] * 50)
    made = row(_OURS, _LOAD, [quick, slow])
    assert made["system"] == "plumbline"
    assert made["load"] == "16 clients"
    assert made["rps"] == 100.0
    assert made["goodput_rps"] == 75.0  # 100 and 50 answers inside 50 ms
    assert made["p50_ms"] == pytest.approx(25.0)  # between the hundred quick ones and the others
    assert made["repeats"]["p99_ms"] == {"min": 10.0, "max": 60.0}
    assert made["repeats"]["goodput_rps"] == {"min": 50.0, "max": 100.0}


def test_what_was_not_answered_is_an_error_and_not_good() -> None:
    made = row(_OURS, _LOAD, [sample([10.0] * 60, sent=100, errors={"status 503": 30, "timeout": 10})])
    assert made["errors"] == 40
    assert made["errors_by_kind"] == {"status 503": 30, "timeout": 10}
    assert made["goodput_rps"] == 60.0


def test_a_load_without_an_answer_has_no_percentiles() -> None:
    made = row(_OURS, _LOAD, [sample([], sent=5, errors={"timeout": 5}, requests_with_warm_up=5)])
    assert made["p50_ms"] is None
    assert made["p99_ms"] is None
    assert made["goodput_rps"] == 0.0
    assert made["errors"] == 5


def test_cpu_is_divided_among_all_requests_warm_up_included() -> None:
    parts = {"http": 0.3, "worker": 0.1}
    made = row(_OURS, _LOAD, [sample([1.0] * 100, system_cpu=0.4, requests_with_warm_up=200, system_cpu_by_name=parts)])
    assert made["cpu_ms_per_request"] == 2.0
    assert made["cpu_ms_by_process"] == {"http": 1.5, "worker": 0.5}


def test_open_loop_goodput_counts_over_the_time_of_due_requests() -> None:
    """A server that needs three seconds for the requests of one has their rate, but no credit for the others' wait."""
    late = sample([20.0] * 50 + [2000.0] * 50, span=3.0)
    made = row(_OURS, _LOAD, [late])
    assert made["goodput_rps"] == 50.0
    assert made["rps"] == pytest.approx(33.3)


def test_loads_are_chosen_by_name() -> None:
    assert [load.rate for load in select_loads(["463/s", "64 clients"])] == [463, 0.0]
    assert [load.rate for load in LOADS if load.rate] == [100, 300, 463, 900, 1500]
    with pytest.raises(UserError, match="no load '464/s'"):
        select_loads(["464/s"])


def test_latency_is_kept_in_seconds() -> None:
    assert np.allclose(sample([50.0, 50.001]).latency, [0.05, 0.050001])
    assert sample([50.0, 50.001]).good == 1
