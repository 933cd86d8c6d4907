"""An event loop whose clock jumps to the next timer instead of waiting: load tests without a processor's noise."""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from serving.engine.compute import Compute, Party


class _Clock(selectors.SelectSelector):
    """Nothing is ever ready; waiting moves the clock on."""

    now = 1000.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready and timeout is not None:
            self.now += max(0.0, timeout)
        return ready


class SimulatedCompute(Compute):
    """A compute thread whose jobs take so many virtual seconds.

    Args:
        seconds: Of the job of a party.
    """

    def __init__(self, seconds: Callable[[Party], float]) -> None:
        super().__init__()
        self._jobs.put(None)  # the thread is not needed
        self._seconds = seconds

    def _grant(self) -> None:
        self._granting = False
        while self._running is None and (party := self._next()) is not None:
            job = party.begin()
            if job is not None:
                self._running = party
                job()
                asyncio.get_running_loop().call_later(self._seconds(party), self._over, None)


def run_in_virtual_time(monkeypatch: pytest.MonkeyPatch, body: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs a coroutine; `time.monotonic()` and the loop's timers tell virtual time meanwhile."""
    clock = _Clock()
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    loop = asyncio.SelectorEventLoop(clock)
    try:
        loop.run_until_complete(body())
    finally:
        loop.close()
        monkeypatch.undo()
