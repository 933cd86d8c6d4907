"""Requests are refused early, and only when the queue says so."""

from __future__ import annotations

import pytest

from serving.engine.admission import ServiceTime, admit
from serving.errors import RequestRefusedError


def test_the_estimate_starts_with_the_first_batch_and_follows() -> None:
    service = ServiceTime()
    assert service.seconds == 0
    service.observe(0.01)
    assert service.seconds == 0.01
    for _ in range(20):
        service.observe(0.1)
    assert service.seconds == pytest.approx(0.1, rel=0.02)


def test_batches_that_a_busy_neighbour_held_up_do_not_refuse_the_next_requests() -> None:
    service = ServiceTime()
    for seconds in (0.005, 0.005, 0.8, 0.005, 0.006, 0.3, 0.005):
        service.observe(seconds)
    assert service.seconds == 0.005


def test_a_wait_inside_the_budget_is_let_in() -> None:
    admit(expected_wait=0.05, budget=0.05, waiting=10, max_waiting=100)


@pytest.mark.parametrize(("wait", "waiting", "retry_after"), [(0.06, 10, 1), (3.2, 50, 4), (0.0, 100, 1)])
def test_a_long_or_full_queue_is_refused_with_a_time_to_retry(wait: float, waiting: int, retry_after: int) -> None:
    with pytest.raises(RequestRefusedError) as refusal:
        admit(expected_wait=wait, budget=0.05, waiting=waiting, max_waiting=100)
    assert refusal.value.status == 503
    assert refusal.value.retry_after == retry_after
