"""The one thread that computes, and the turns that its users take.

A second thread would compute no more on the same core, and two batches at once would each be late. The thread is
handed one job at a time: whoever waits for a turn goes on collecting until it comes.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Protocol

Job = Callable[[], None]

PATIENCE = 4
"""Turns that a waiting party of lower rank lets those of higher rank have before it gets one itself: under load the
batch endpoint keeps a fifth of the turns, so that its requests end."""

_log = logging.getLogger(__name__)


class Party(Protocol):
    """Takes turns on the compute thread."""

    rank: int
    """0 goes first (single queries), then 1 (batch requests); 2 only when nobody else waits (shadows)."""

    def begin(self) -> Job | None:
        """The party's turn has come: its job for the thread, or None if it has nothing to do any more."""
        ...

    def end(self, error: BaseException | None) -> None:
        """The job is over; with the error that it raised, if it raised one."""
        ...


class Compute:
    """The compute thread. Every method is called on the event loop."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[tuple[Job, asyncio.AbstractEventLoop] | None] = SimpleQueue()
        self._waiting: tuple[deque[Party], deque[Party], deque[Party]] = (deque(), deque(), deque())
        self._passed_over = 0
        self._running: Party | None = None
        self._granting = False
        self._started = 0.0
        self._thread = threading.Thread(target=self._work, name="compute", daemon=True)
        self._thread.start()

    @property
    def busy_seconds(self) -> float:
        """For how long the job that runs now has run; 0 if none does."""
        return time.monotonic() - self._started if self._running is not None else 0.0

    def request(self, party: Party) -> None:
        """Asks for a turn. A party asks again once its turn is over, not before."""
        self._waiting[party.rank].append(party)
        if self._running is None and not self._granting:
            # Not at once: whatever else has arrived by now gets into the same batch.
            self._granting = True
            asyncio.get_running_loop().call_soon(self._grant)

    def close(self) -> None:
        """Lets go of the thread once its job is over; does not wait for one that hangs."""
        self._jobs.put(None)
        if self._running is None:
            self._thread.join()

    def _grant(self) -> None:
        self._granting = False
        while self._running is None and (party := self._next()) is not None:
            try:
                job = party.begin()
            except Exception:  # noqa: BLE001 - one party's fault must not stop the others
                _log.exception("A batch could not be begun.")
                continue
            if job is not None:
                self._running = party
                self._started = time.monotonic()
                self._jobs.put((job, asyncio.get_running_loop()))

    def _next(self) -> Party | None:
        """By turns among equals; of two ranks the higher one, but not for ever."""
        singles, chunks, shadows = self._waiting
        if chunks and (not singles or self._passed_over >= PATIENCE):
            self._passed_over = 0
            return chunks.popleft()
        if singles:
            self._passed_over += bool(chunks)
            return singles.popleft()
        return shadows.popleft() if shadows else None

    def _work(self) -> None:
        while (handed := self._jobs.get()) is not None:
            job, loop = handed
            error: BaseException | None = None
            try:
                job()
            except BaseException as raised:  # noqa: BLE001 - the thread must outlive any job; the party tells its clients
                error = raised
            del job, handed
            try:
                loop.call_soon_threadsafe(self._over, error)
            except RuntimeError:  # the loop is closed: whoever waited is gone
                _log.warning("A batch ended after its event loop had been closed.")

    def _over(self, error: BaseException | None) -> None:
        party, self._running = self._running, None
        assert party is not None
        try:
            party.end(error)
        except Exception:  # noqa: BLE001 - one party's fault must not stop the others
            _log.exception("A batch could not be ended.")
        self._grant()
