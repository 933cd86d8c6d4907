"""Quick batches on the event loop itself."""

from __future__ import annotations

import asyncio
import socket
import time

from engine_bench import run
from test_compute_turns import Player, _play

from plumbline.settings import Settings
from serving.engine.compute import Compute


def test_quick_jobs_take_turns_on_the_loop() -> None:
    compute, order = Compute(), list[str]()
    players = [Player(name, compute, order, turns=3, inline=True) for name in "ab"]
    assert _play(players, 6) == list("ababab")


def test_quick_and_slow_ones_take_turns() -> None:
    compute, order = Compute(), list[str]()
    players = [Player("a", compute, order, turns=3, inline=True), Player("b", compute, order, turns=3)]
    assert _play(players, 6) == list("ababab")


def test_a_broken_job_ends_neither_the_loop_nor_the_others() -> None:
    compute, order = Compute(), list[str]()
    players = [
        Player("a", compute, order, turns=2, inline=True),
        Player("broken", compute, order, turns=1, inline=True, broken="job"),
    ]
    assert _play(players, 3) == ["a", "broken", "a"]
    assert isinstance(players[1].errors[0], SystemExit)


def test_sockets_are_read_between_two_jobs_and_what_they_held_counts_from_the_first() -> None:
    compute = Compute()
    near, far = socket.socketpair()
    seen: list[tuple[str, float]] = []

    class Busy(Player):
        def _work(self) -> None:
            seen.append(("job", time.monotonic()))
            far.send(b"x")  # arrives while the loop computes

    busy = Busy("a", compute, [], turns=2, inline=True)

    async def body() -> None:
        def readable() -> None:
            near.recv(1)
            seen.append(("read", compute.arrived()))

        asyncio.get_running_loop().add_reader(near, readable)
        compute.request(busy)
        async with asyncio.timeout(20):
            while len(seen) < 4:
                await asyncio.sleep(0.001)
        before = time.monotonic()
        assert compute.arrived() >= before  # nothing is computed: now is now
        asyncio.get_running_loop().remove_reader(near)
        compute.close()

    run(body)
    assert [kind for kind, _ in seen] == ["job", "read", "job", "read"]
    for (_, began), (_, arrived) in zip(seen[::2], seen[1::2], strict=True):
        assert arrived <= began
    near.close()
    far.close()


def test_the_warm_up_decides_where_a_lane_computes(settings: Settings) -> None:
    from engine_bench import query, running

    async def body() -> None:
        async with running(settings, inline_batch_ms=1000.0, max_batch_size=4, batch_chunk_size=8) as bench:
            lane = bench.lane
            assert (await lane.answer(query())).label
            assert lane._singles.inline
            assert lane._chunks.inline
            lane.seed({1: 0.1, 4: 0.9, 8: 1.1})
            assert lane._singles.inline
            assert not lane._chunks.inline
            lane.seed({1: 0.1, 4: 1.1, 8: 1.2})
            assert not lane._singles.inline
            assert (await lane.answer(query())).label
            assert len(bench.logged()) == 2

    run(body)
