"""All served models of one replica."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

from serving.engine.compute import Compute
from serving.engine.lane import Lane
from serving.errors import RequestRefusedError

_READINESS_PERIOD_SECONDS = 1.0
"""Readiness is asked by several, and by anybody; each answer costs a batch."""


class Engine:
    """Answers queries of every served model. Used on one event loop.

    Args:
        lanes: By model name, the default model first.
        compute: The thread that the lanes share.
        on_close: Called once nothing is being answered any more.
    """

    def __init__(self, lanes: Mapping[str, Lane], *, compute: Compute, on_close: Callable[[], None]) -> None:
        self.lanes = lanes
        self._default = next(iter(lanes.values()))
        self._compute = compute
        self._on_close = on_close
        self._readiness: asyncio.Task[str | None] | None = None
        self._looked = 0.0

    @property
    def busy_seconds(self) -> float:
        """For how long the batch that runs now has run: seconds mean that it hangs."""
        return self._compute.busy_seconds

    def arrived(self) -> float:
        """`time.monotonic()` at which a request that is read now came at the earliest: when the loop was last free."""
        return self._compute.arrived()

    def lane(self, model: str | None = None) -> Lane:
        """The lane of a model, of the default one for None.

        Raises:
            RequestRefusedError: 404, no such model is served.
        """
        if model is None:
            return self._default
        try:
            return self.lanes[model]
        except KeyError:
            served = ", ".join(self.lanes)
            raise RequestRefusedError(
                404, "unknown-model", f"The model {model} is not served here. Ask for one of: {served}."
            ) from None

    async def unready_because(self) -> str | None:
        """Makes a real prediction through each lane; None if all succeeded, else the reason.

        Those who ask at the same time, or within a second, get the same answer.
        """
        now = time.monotonic()
        task = self._readiness
        if task is None or (task.done() and now - self._looked >= _READINESS_PERIOD_SECONDS):
            self._looked = now
            task = self._readiness = asyncio.create_task(self._look(), name="readiness")
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Answers what waits, then stops."""
        await asyncio.gather(*(lane.close() for lane in self.lanes.values()))
        self._compute.close()
        self._on_close()

    async def _look(self) -> str | None:
        for lane in self.lanes.values():
            reason = await lane.unready_because()
            if reason is not None:
                return f"{lane.name}: {reason}"
        return None
