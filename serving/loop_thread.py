"""A thread with an event loop of its own (uvloop), on which the front ends and the engine live."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

import uvloop

_Result = TypeVar("_Result")
_STOP_SECONDS = 5.0


class LoopThread:
    """Runs coroutines of other threads on one loop.

    Ray's own loop in the replica is left to Ray: its calls and timers must not wait for a request, nor delay one.
    """

    def __init__(self, name: str) -> None:
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether its thread runs; it ends with `close`, or by a fault."""
        return self._thread.is_alive()

    async def run(self, coroutine: Coroutine[Any, Any, _Result], *, within: float | None = None) -> _Result:
        """Runs a coroutine there, and waits for it here.

        Args:
            coroutine: What to run.
            within: Seconds; None waits for as long as it takes.

        Raises:
            TimeoutError: It took longer, and was cancelled.
        """
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        return await asyncio.wait_for(asyncio.wrap_future(future), within)

    def close(self) -> None:
        """Stops the loop; what still runs on it is cancelled."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            for task in asyncio.all_tasks(self._loop):
                task.cancel()
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            self._loop.close()
