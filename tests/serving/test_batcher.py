"""Batches close for the right reason, and no query harms its neighbours."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from serving.engine.admission import ServiceTime
from serving.engine.batcher import Batcher
from serving.errors import UnavailableError

FAR = 1e9


class Doubler:
    """Doubles numbers; refuses 13."""

    def __init__(self, seconds: float = 0.0, down: bool = False) -> None:
        self.seconds = seconds
        self.down = down
        self.calls: list[list[int]] = []

    async def __call__(self, batch: Sequence[int]) -> list[int]:
        self.calls.append(list(batch))
        await asyncio.sleep(self.seconds)
        if self.down:
            raise UnavailableError("down")
        if 13 in batch:
            raise ValueError("13")
        return [2 * number for number in batch]


def batcher(doubler: Doubler, *, size: int = 4, wait: float = 0.02, service: float | None = None) -> Batcher[int, int]:
    measured = ServiceTime()
    if service is not None:
        measured.observe(service)
    return Batcher(doubler, max_size=size, max_wait=wait, service_time=measured, on_batch=lambda _: None)


def run(body: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(body(), 10))


def test_a_full_batch_closes_at_once() -> None:
    async def body() -> None:
        doubler = Doubler()
        queue = batcher(doubler, size=3, wait=5)
        start = time.monotonic()
        answers = await asyncio.gather(*(queue.submit(number, deadline=FAR) for number in (1, 2, 3)))
        assert answers == [2, 4, 6]
        assert doubler.calls == [[1, 2, 3]]
        assert time.monotonic() - start < 1

    run(body)


def test_a_lone_query_waits_no_longer_than_the_wait() -> None:
    async def body() -> None:
        queue = batcher(Doubler(), wait=0.05)
        start = time.monotonic()
        assert await queue.submit(1, deadline=FAR) == 2
        assert 0.04 <= time.monotonic() - start < 0.5

    run(body)


def test_a_batch_closes_early_enough_for_its_oldest_query() -> None:
    async def body() -> None:
        queue = batcher(Doubler(), wait=5, service=0.1)
        start = time.monotonic()
        await queue.submit(1, deadline=start + 0.2)
        assert time.monotonic() - start < 0.2

    run(body)


def test_batches_grow_while_one_is_answered() -> None:
    async def body() -> None:
        doubler = Doubler(seconds=0.05)
        queue = batcher(doubler, size=10, wait=0)
        first = asyncio.create_task(queue.submit(0, deadline=FAR))
        await asyncio.sleep(0.01)
        await asyncio.gather(first, *(queue.submit(number, deadline=FAR) for number in range(1, 8)))
        assert doubler.calls == [[0], [1, 2, 3, 4, 5, 6, 7]]

    run(body)


@pytest.mark.parametrize("place", range(5))
def test_a_poisoned_query_fails_alone(place: int) -> None:
    async def body() -> None:
        numbers = [1, 2, 3, 4]
        numbers.insert(place, 13)
        queue = batcher(Doubler(), size=5)
        answers = await asyncio.gather(
            *(queue.submit(number, deadline=FAR) for number in numbers), return_exceptions=True
        )
        assert isinstance(answers[place], ValueError)
        assert [answer for answer in answers if not isinstance(answer, BaseException)] == [2, 4, 6, 8]

    run(body)


def test_a_cancelled_query_is_left_out_and_its_neighbours_are_answered() -> None:
    async def body() -> None:
        doubler = Doubler()
        queue = batcher(doubler, wait=0.05)
        cancelled = asyncio.create_task(queue.submit(1, deadline=FAR))
        kept = asyncio.create_task(queue.submit(2, deadline=FAR))
        await asyncio.sleep(0.01)
        cancelled.cancel()
        assert await kept == 4
        assert doubler.calls == [[2]]

    run(body)


def test_a_query_cancelled_while_its_batch_is_answered_harms_nobody() -> None:
    async def body() -> None:
        queue = batcher(Doubler(seconds=0.05), size=2)
        cancelled = asyncio.create_task(queue.submit(1, deadline=FAR))
        kept = asyncio.create_task(queue.submit(2, deadline=FAR))
        await asyncio.sleep(0.02)
        cancelled.cancel()
        assert await kept == 4
        assert await queue.submit(5, deadline=FAR) == 10

    run(body)


def test_unavailability_goes_to_the_whole_batch_in_one_try() -> None:
    async def body() -> None:
        doubler = Doubler(down=True)
        queue = batcher(doubler)
        answers = await asyncio.gather(*(queue.submit(n, deadline=FAR) for n in range(4)), return_exceptions=True)
        assert all(isinstance(answer, UnavailableError) for answer in answers)
        assert len(doubler.calls) == 1

    run(body)


def test_expected_wait_counts_the_running_batch_and_the_full_ones_before() -> None:
    async def body() -> None:
        queue = batcher(Doubler(seconds=0.2), size=2, wait=0, service=0.2)
        tasks = [asyncio.create_task(queue.submit(number, deadline=FAR)) for number in range(7)]
        await asyncio.sleep(0.05)
        assert queue.waiting == 5
        assert 0.45 <= queue.expected_wait() <= 0.56  # what is left of the running one, and two full ones
        await asyncio.gather(*tasks)
        assert queue.expected_wait() == 0

    run(body)


def test_close_answers_what_waits() -> None:
    async def body() -> None:
        queue = batcher(Doubler(seconds=0.02), size=2)
        tasks = [asyncio.create_task(queue.submit(number, deadline=FAR)) for number in range(5)]
        await asyncio.sleep(0)
        await queue.close()
        assert await asyncio.gather(*tasks) == [0, 2, 4, 6, 8]

    run(body)
