"""Where batches are computed, one at a time, and the turns that their queues take.

A second thread would compute no more on the same core, and two batches at once would each be late: whoever waits for
a turn goes on collecting until it comes.

Quick batches are computed on the event loop itself, others on a thread. A thread has to share the interpreter with
the loop, and asks for it anew after every operation that let it go, some thirty times in a batch; a loop that has
always something to do gives it up only every five milliseconds (`sys.setswitchinterval`), so that under overload a
batch of 2 ms took 100 and refusing took all of the time. On the loop nothing competes. What arrives meanwhile waits in
its socket, a few milliseconds, and is taken for received when the batch began.
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
    """Takes turns in computing."""

    inline: bool
    """Whether its jobs are quick enough for the event loop."""

    rank: int
    """0 goes first (single queries), then 1 (batch requests); 2 only when nobody else waits (shadows)."""

    def begin(self) -> Job | None:
        """The party's turn has come: its job, or None if it has nothing to do any more."""
        ...

    def end(self, error: BaseException | None) -> None:
        """The job is over; with the error that it raised, if it raised one."""
        ...


class Compute:
    """Computes for several parties. Every method is called on the event loop."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[tuple[Job, asyncio.AbstractEventLoop] | None] = SimpleQueue()
        self._waiting: tuple[deque[Party], deque[Party], deque[Party]] = (deque(), deque(), deque())
        self._passed_over = 0
        self._running: Party | None = None
        self._granting = False
        self._started = 0.0
        self._blocked_since: float | None = None
        self._thread = threading.Thread(target=self._work, name="compute", daemon=True)
        self._thread.start()

    @property
    def busy_seconds(self) -> float:
        """For how long the job that runs now has run; 0 if none does."""
        return time.monotonic() - self._started if self._running is not None else 0.0

    def arrived(self) -> float:
        """`time.monotonic()` at which what is read from a socket now came at the earliest.

        What came while the loop computed was not seen until now.
        """
        return self._blocked_since if self._blocked_since is not None else time.monotonic()

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
                if party.inline:
                    self._compute_here(job)
                    return
                self._jobs.put((job, asyncio.get_running_loop()))

    def _compute_here(self, job: Job) -> None:
        loop = asyncio.get_running_loop()
        began = self._blocked_since = self._started
        error: BaseException | None = None
        try:
            job()
        except BaseException as raised:  # noqa: BLE001 - the loop must outlive any job; the party tells its clients
            error = raised
        self._over(error)
        # Two rounds of the loop: in the first the sockets are looked at, and what they hold came while the job ran.
        loop.call_soon(loop.call_soon, self._seen, began)

    def _seen(self, began: float) -> None:
        if self._blocked_since == began:  # else the next job blocks the loop already
            self._blocked_since = None

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
        self._granting = True
        try:
            party.end(error)
        except Exception:  # noqa: BLE001 - one party's fault must not stop the others
            _log.exception("A batch could not be ended.")
        if party.inline:
            # Answers leave, and requests are read, between two batches.
            loop = asyncio.get_running_loop()
            loop.call_soon(loop.call_soon, self._grant)
        else:
            self._grant()
