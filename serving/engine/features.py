"""Online features inside their slice of the budget."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

_log = logging.getLogger(__name__)

LATE = "features_late"
FAILED = "features_failed"


class FeatureVector(Protocol):
    """Features of one posting."""

    @property
    def values(self) -> Mapping[str, Any]:
        """Value per feature name; None where there is none."""
        ...

    @property
    def expired(self) -> list[str]:
        """Views whose newest row is past its time to live."""
        ...

    @property
    def missing(self) -> list[str]:
        """Views that hold nothing for this posting."""
        ...

    @property
    def later(self) -> list[str]:
        """Views whose row is later than the posting."""
        ...


class FeatureReader(Protocol):
    """Reads the features of many postings; called from one thread."""

    def read(self, postings: Sequence[Mapping[str, Any]]) -> Sequence[FeatureVector]:
        """One vector per posting, in order."""
        ...


class BudgetedFeatures:
    """Reads in a thread of its own; gives up waiting, never blocks the event loop.

    A read that is given up goes on in its thread. Until it has ended, later batches do without features at once
    instead of queueing behind it.
    """

    def __init__(self, reader: FeatureReader) -> None:
        self._reader = reader
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="features")
        self._late: asyncio.Future[Sequence[FeatureVector]] | None = None

    async def read(
        self, postings: Sequence[Mapping[str, Any]], *, within: float
    ) -> tuple[Sequence[FeatureVector] | None, str | None]:
        """Vectors, or None and the reason.

        Args:
            postings: Contract fields of each posting.
            within: Seconds that may be waited.
        """
        if self._late is not None and not self._late.done():
            return None, LATE
        self._late = None
        loop = asyncio.get_running_loop()
        reading = loop.run_in_executor(self._thread, self._reader.read, postings)
        await asyncio.wait((reading,), timeout=within)
        if not reading.done():
            reading.add_done_callback(_report)
            self._late = reading
            return None, LATE
        if reading.exception() is not None:
            _report(reading)
            return None, FAILED
        return reading.result(), None

    def close(self) -> None:
        """Lets go of the thread."""
        self._thread.shutdown(wait=False)


def _report(reading: asyncio.Future[Any]) -> None:
    if not reading.cancelled() and (error := reading.exception()) is not None:
        _log.error("Reading online features failed.", exc_info=error)
