"""Online features inside their slice of the budget."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from queue import SimpleQueue
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

    @property
    def age_seconds(self) -> Mapping[str, float]:
        """Age of each view's row at the posting's time."""
        ...


Postings = Sequence[Mapping[str, Any]]


class FeatureReader(Protocol):
    """Reads the features of many postings; called from two threads."""

    def read(self, postings: Postings) -> Sequence[FeatureVector]:
        """One vector per posting, in order. May wait for a store."""
        ...

    def read_kept(self, postings: Postings) -> Sequence[FeatureVector | None]:
        """The same from memory, with None where the store would have to be asked. Never waits."""
        ...


Reading = Future[Sequence[FeatureVector]]


class BudgetedFeatures:
    """Reads from memory where it can, else in a thread of its own that is waited for only so long.

    A read that is given up goes on in its thread. Until it has ended, later postings that are not in memory do
    without features at once instead of queueing behind it. Called where batches are computed.
    """

    def __init__(self, reader: FeatureReader) -> None:
        self._reader = reader
        self._late: Reading | None = None
        self._asked: SimpleQueue[tuple[Postings, Reading] | None] = SimpleQueue()
        # Not a pool: the interpreter waits for a pool's threads at its end, and a store may hang for ever.
        threading.Thread(target=self._work, name="features", daemon=True).start()

    def read(self, postings: Postings, *, within: float) -> tuple[Sequence[FeatureVector | None], str | None]:
        """A vector per posting, None where there is none, and the reason for those.

        Args:
            postings: Contract fields of each posting.
            within: Seconds that may be waited.
        """
        try:
            kept = self._reader.read_kept(postings)
        except Exception:  # noqa: BLE001 - no features rather than no answer
            _log.exception("Reading online features from memory failed.")
            return [None] * len(postings), FAILED
        absent = [row for row, vector in enumerate(kept) if vector is None]
        if not absent:
            return kept, None
        read, reason = self._ask([postings[row] for row in absent], within)
        if read is None:
            return kept, reason
        whole = list(kept)
        for row, vector in zip(absent, read, strict=True):
            whole[row] = vector
        return whole, None

    def close(self) -> None:
        """Lets go of the thread."""
        self._asked.put(None)

    def _ask(self, postings: Postings, within: float) -> tuple[Sequence[FeatureVector] | None, str | None]:
        if self._late is not None and not self._late.done():
            return None, LATE
        reading: Reading = Future()
        self._asked.put((postings, reading))
        wait((reading,), max(0.0, within))
        if not reading.done():
            self._late = reading
            return None, LATE
        if reading.exception() is not None:
            return None, FAILED
        return reading.result(), None

    def _work(self) -> None:
        while (asked := self._asked.get()) is not None:
            postings, reading = asked
            try:
                reading.set_result(self._reader.read(postings))
            except Exception as error:  # noqa: BLE001 - each store's driver has errors of its own
                _log.exception("Reading online features failed.")
                reading.set_exception(error)
            del asked, postings, reading
