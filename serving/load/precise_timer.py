"""A timer that fires within some tens of microseconds. The event loop's own timers round to milliseconds."""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import Callable

_CLOCK_MONOTONIC = 1
_TFD_TIMER_ABSTIME = 1
_TFD_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_NANOSECONDS = 1_000_000_000


class PreciseTimer:
    """Calls back on the event loop at instants of `time.monotonic()`, by a Linux timerfd (timerfd_create(2)).

    Python has `os.timerfd_create` from 3.13 on only, hence the C library's.

    Args:
        loop: The running loop.
        callback: Called once for each `arm`.

    Raises:
        OSError: The system gives no timer.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        self._loop = loop
        self._library = ctypes.CDLL(None, use_errno=True)
        self._file = self._library.timerfd_create(_CLOCK_MONOTONIC, _TFD_NONBLOCK_CLOEXEC)
        if self._file < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        # struct itimerspec: interval (seconds, nanoseconds), then the first expiry.
        self._when = (ctypes.c_long * 4)()
        self._armed = False
        self._callback = callback
        loop.add_reader(self._file, self._fire)

    def arm(self, instant: float) -> None:
        """Fires once, at `instant` or at once if that is over. Replaces what was armed before."""
        self._set(max(1, int(instant * _NANOSECONDS)))

    def close(self) -> None:
        """Gives the timer back."""
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
