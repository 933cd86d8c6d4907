"""Turns on the compute thread."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from engine_bench import run, until

from serving.engine.compute import Compute, Job


@dataclass
class Player:
    """Takes so many turns."""

    name: str
    compute: Compute
    order: list[str]
    turns: int = 1
    rank: int = 0
    inline: bool = False
    broken: str = ""
    errors: list[BaseException | None] = field(default_factory=list)

    def begin(self) -> Job | None:
        if self.broken == "begin":
            raise LookupError("begin")
        if not self.turns:
            return None
        self.turns -= 1
        return self._work

    def _work(self) -> None:
        assert (threading.current_thread() is threading.main_thread()) == self.inline
        self.order.append(self.name)
        if self.broken == "job":
            raise SystemExit("a job must not end the thread")

    def end(self, error: BaseException | None) -> None:
        self.errors.append(error)
        if self.turns:
            self.compute.request(self)
        if self.broken == "end":
            raise LookupError("end")


def _play(players: list[Player], jobs: int) -> list[str]:
    order = players[0].order

    async def body() -> None:
        for player in players:
            player.compute.request(player)
        await until(lambda: len(order) == jobs and not players[0].compute.busy_seconds)
        players[0].compute.close()

    run(body)
    return order


def test_equals_take_turns() -> None:
    compute, order = Compute(), []
    players = [Player(name, compute, order, turns) for name, turns in (("a", 3), ("b", 1), ("c", 2))]
    assert _play(players, 6) == ["a", "b", "c", "a", "c", "a"]


def test_higher_ranks_go_first_but_not_for_ever_and_the_lowest_goes_last() -> None:
    compute, order = Compute(), []
    players = [
        Player("shadow", compute, order, 1, rank=2),
        Player("bulk", compute, order, 2, rank=1),
        Player("single", compute, order, 9, rank=0),
    ]
    played = _play(players, 12)
    assert played == ["single"] * 4 + ["bulk"] + ["single"] * 4 + ["bulk", "single", "shadow"]


def test_one_that_breaks_stops_nobody() -> None:
    compute, order = Compute(), []
    players = [
        Player("begin", compute, order, broken="begin"),
        Player("job", compute, order, broken="job"),
        Player("end", compute, order, broken="end"),
        Player("nothing to do", compute, order, turns=0),
        Player("fine", compute, order, 2),
    ]
    assert _play(players, 4) == ["job", "end", "fine", "fine"]
    assert isinstance(players[1].errors[0], SystemExit)
    assert players[4].errors == [None, None]
