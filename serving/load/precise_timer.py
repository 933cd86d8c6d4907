"""A timer exact to some tens of microseconds where the system has one. The event loop's own round to milliseconds."""

from __future__ import annotations

import asyncio
import ctypes
import math
import os
import time
from collections.abc import Callable
from typing import Final, Protocol

_CLOCK_MONOTONIC = 1
_TFD_TIMER_ABSTIME = 1
_NANOSECONDS = 1_000_000_000
_MILLISECONDS = 1000


class Timer(Protocol):
    """Calls back on the event loop at instants of `time.monotonic()`."""

    def arm(self, instant: float) -> None:
        """Fires once, at `instant` or at once if that is over. Replaces what was armed before."""
        ...

    def close(self) -> None:
        """Gives the timer back."""
        ...


def open_timer(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> Timer:
    """The most exact timer of this system.

    Args:
        loop: The running loop.
        callback: Called once for each `arm`.

    Raises:
        OSError: The system gives no timer.
    """
    return TimerFd(loop, callback) if _has_timerfd() else LoopTimer(loop, callback)


def timer_name() -> str:
    """What `open_timer` gives here and how exact it is."""
    return TimerFd.name if _has_timerfd() else LoopTimer.name


def _has_timerfd() -> bool:
    return hasattr(ctypes.CDLL(None), "timerfd_create")


class TimerFd:
    """By a Linux timerfd (timerfd_create(2)).

    Python has `os.timerfd_create` from 3.13 on only, hence the C library's.
    """

    name: Final = "timerfd, within 0.1 ms"

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        self._loop = loop
        self._library = ctypes.CDLL(None, use_errno=True)
        self._file = self._library.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._file < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        # struct itimerspec: interval (seconds, nanoseconds), then the first expiry.
        self._when = (ctypes.c_long * 4)()
        self._armed = False
        self._callback = callback
        loop.add_reader(self._file, self._fire)

    def arm(self, instant: float) -> None:
        """See `Timer.arm`."""
        self._set(max(1, int(instant * _NANOSECONDS)))

    def close(self) -> None:
        """See `Timer.close`."""
        self._loop.remove_reader(self._file)
        os.close(self._file)

    def _set(self, total: int) -> None:
        """Sets the expiry, 0 for none; a set expiry also takes the last one back, which saves reading it."""
        self._armed = total > 0
        self._when[2], self._when[3] = divmod(total, _NANOSECONDS)
        if self._library.timerfd_settime(self._file, _TFD_TIMER_ABSTIME, self._when, None) != 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime failed")

    def _fire(self) -> None:
        self._armed = False
        self._callback()
        if not self._armed:
            self._set(0)


class LoopTimer:
    """By the event loop itself, on systems without timerfd."""

    name: Final = "event loop, about 1 ms late"

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        self._loop = loop
        self._callback = callback
        self._handle: asyncio.TimerHandle | None = None

    def arm(self, instant: float) -> None:
        """See `Timer.arm`."""
        self.close()
        # Rounded up: a timer that fires early would be armed again and again until the instant has come.
        wait = math.ceil(max(0.0, instant - time.monotonic()) * _MILLISECONDS) / _MILLISECONDS
        self._handle = self._loop.call_later(wait, self._callback)

    def close(self) -> None:
        """See `Timer.close`."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
