"""The estimate behind admission."""

from __future__ import annotations

import pytest

from serving.engine.admission import Backlog, ServiceTime


def test_nothing_is_known_before_the_first_batch() -> None:
    service = ServiceTime()
    assert service.typical(8) == 0
    service.observe(8, 0.01)
    assert service.typical(8) == pytest.approx(0.01)


def test_the_estimate_follows_a_change_of_load() -> None:
    service = ServiceTime()
    for seconds in [0.01] * 60 + [0.1] * 63:
        service.observe(4, seconds)
    assert service.typical(4) == pytest.approx(0.1)


def test_batches_that_a_busy_neighbour_held_up_do_not_change_it() -> None:
    service = ServiceTime()
    for number in range(63):
        service.observe(4, 0.8 if number in (5, 30, 62) else 0.005)
    assert service.typical(4) == pytest.approx(0.005)
    assert service.spread(4) == 0


def test_a_lasting_spread_counts() -> None:
    service = ServiceTime()
    for number in range(63):
        service.observe(4, 0.009 if number % 5 == 0 else 0.005)
    assert service.typical(4) == pytest.approx(0.005)
    assert service.spread(4) == pytest.approx(1.5 * 0.004)


def test_a_size_that_was_not_observed_is_judged_by_the_shape() -> None:
    service = ServiceTime()
    service.seed({1: 0.001, 4: 0.002, 8: 0.003})
    assert service.typical(6) == pytest.approx(0.0025)
    for _ in range(63):
        service.observe(8, 0.009)  # three times as slow as when it was measured
    assert service.typical(8) == pytest.approx(0.009)
    assert service.typical(1) == pytest.approx(0.003)
    # A new version is quicker throughout: what was observed is seen in its light.
    service.seed({1: 0.0005, 4: 0.001, 8: 0.0015})
    assert service.typical(8) == pytest.approx(0.009)


def test_small_batches_that_had_to_wait_do_not_keep_large_ones_out() -> None:
    service = ServiceTime()
    service.seed({1: 0.001, 32: 0.003})
    for number in range(63):
        service.observe(
            1, 0.011 + 0.002 * (number % 10 == 0)
        )  # 10 ms for the interpreter, and not eleven times as slow
    assert service.typical(32) == pytest.approx(0.013)
    assert service.spread(32) == pytest.approx(1.5 * 0.002)


def _backlog(seconds: float) -> Backlog:
    backlog = Backlog(4)
    backlog.service.seed({1: seconds, 2: seconds, 4: seconds})
    return backlog


def test_the_own_batch_counts_and_those_before_it() -> None:
    backlog = _backlog(0.01)
    assert backlog.seconds_until_answered(1, 0.0) == pytest.approx(0.01)
    assert backlog.seconds_until_answered(4, 0.0) == pytest.approx(0.01)
    assert backlog.seconds_until_answered(5, 0.0) == pytest.approx(0.02)
    assert backlog.seconds_until_answered(12, 0.0) == pytest.approx(0.03)


def test_the_running_batch_counts_by_what_is_left_and_twice_what_it_is_overdue() -> None:
    backlog = _backlog(0.01)
    backlog.started(4, 100.0)
    assert backlog.seconds_until_answered(1, 100.004) == pytest.approx(0.016)
    assert backlog.seconds_until_answered(1, 100.010) == pytest.approx(0.010)
    assert backlog.seconds_until_answered(1, 105.010) == pytest.approx(5.010)


def test_the_time_to_hand_answers_on_counts() -> None:
    backlog = _backlog(0.01)
    for _ in range(10):
        backlog.leaving.observe(4, 0.003)
    assert backlog.seconds_until_answered(1, 0.0) == pytest.approx(0.013)


def test_deviations_add_up_by_the_root() -> None:
    backlog = _backlog(0.01)
    for number in range(63):
        backlog.service.observe(4, 0.012 if number % 5 == 0 else 0.01)
    one, four = (backlog.seconds_until_answered(queries, 0.0) for queries in (4, 16))
    assert one == pytest.approx(0.013)
    assert four == pytest.approx(0.04 + 2 * 0.003)


def test_with_nothing_before_it_a_query_is_let_in() -> None:
    backlog = _backlog(10.0)
    assert backlog.refusal(queries=1, waiting=0, budget=0.01, now=0.0) is None
    assert backlog.refusal(queries=2, waiting=1, budget=0.01, now=0.0) is not None
    backlog.started(1, 0.0)
    refusal = backlog.refusal(queries=1, waiting=0, budget=0.5, now=0.0)
    assert refusal is not None
    assert refusal.retry_after == 20


def test_one_batch_may_fill_whatever_was_observed() -> None:
    backlog = _backlog(0.002)
    for _ in range(63):
        backlog.service.observe(1, 3.0)  # it was the refusing of all others that took so long
    assert backlog.refusal(queries=4, waiting=3, budget=0.05, now=0.0) is None
    assert backlog.refusal(queries=5, waiting=4, budget=0.05, now=0.0) is not None
    # A model that takes most of the budget itself is judged by what was observed.
    assert backlog.refusal(queries=4, waiting=3, budget=0.003, now=0.0) is not None
