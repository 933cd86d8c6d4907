"""Waiting that follows progress: it ends once nothing has moved for a while, however long the whole takes.

On a busy machine everything takes many times as long, and nothing is wrong. So no wait here ends because a number of
seconds is over; it ends when what is waited for has neither worked nor changed for so long.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import psutil

WORKING_SHARE = 0.02
"""Of one core. What uses less is idle: timers and heartbeats of idle services stay below it, and on two cores a process
that wants to work gets more even beside a hundred others."""


class Patience:
    """Asked again and again while something is waited for.

    Args:
        seconds: How long nothing may move.
        work: Processor seconds that what is waited for has used so far.
        sign: What changes when it gets on: a state, the length of a log. Compared by `==`.
    """

    def __init__(
        self, seconds: float, *, work: Callable[[], float] = lambda: 0.0, sign: Callable[[], object] = lambda: None
    ) -> None:
        self.seconds = seconds
        self._work = work
        self._sign = sign
        self._moved()

    def lost(self) -> bool:
        """Whether nothing has moved for `seconds`."""
        work = self._work()
        if self._sign() != self._sign_then or self._worked(work):
            self._moved()
        return self.silent_seconds > self.seconds

    @property
    def silent_seconds(self) -> float:
        """Seconds since something moved."""
        return time.monotonic() - self._then

    def _worked(self, work: float) -> bool:
        # Less than before: processes have ended, and others go on.
        used = work - self._work_then
        return used < 0 or used > WORKING_SHARE * self.silent_seconds

    def _moved(self) -> None:
        self._then = time.monotonic()
        self._work_then = self._work()
        self._sign_then = self._sign()


def processor_seconds(processes: Iterable[psutil.Process]) -> float:
    """Processor time, user and system, that these processes have used; those that have ended count nothing."""
    total = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # ended between the listing and the question, or another user's
        total += times.user + times.system
    return total
