"""Peak memory of all the processes of a run."""

from __future__ import annotations

import threading
from types import TracebackType

import psutil

from plumbline.process.marks import marked_processes

_SECOND_BETWEEN_SAMPLES = 1.0
_BYTES_PER_MB = 1024 * 1024


class PeakMemory:
    """Samples the summed resident memory of a run's processes and the caller, once a second.

    The sum counts pages that processes share once per process, so it is an upper bound of what the run takes.
    """

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._peak = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="peak-memory", daemon=True)

    @property
    def peak_mb(self) -> float:
        """Largest sum seen so far, MiB."""
        return self._peak / _BYTES_PER_MB

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        own = psutil.Process()
        while not self._stop.wait(_SECOND_BETWEEN_SAMPLES):
            total = own.memory_info().rss
            for process in marked_processes(self._run_id):
                try:
                    total += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue  # ended between the listing and the reading
            self._peak = max(self._peak, total)
