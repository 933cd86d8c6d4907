"""All served models of one replica."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from serving.engine.lane import Lane
from serving.errors import RequestRefusedError


class Engine:
    """Answers queries of every served model.

    Args:
        lanes: By model name, the default model first.
        on_close: Called once nothing is being answered any more.
    """

    def __init__(self, lanes: Mapping[str, Lane], *, on_close: Callable[[], None]) -> None:
        self.lanes = lanes
        self._default = next(iter(lanes.values()))
        self._on_close = on_close

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
        """Makes a real prediction through each lane; None if all succeeded, else the reason."""
        for lane in self.lanes.values():
            reason = await lane.unready_because()
            if reason is not None:
                return f"{lane.name}: {reason}"
        return None

    async def close(self) -> None:
        """Answers what waits, then stops."""
        for lane in self.lanes.values():
            await lane.close()
        self._on_close()
