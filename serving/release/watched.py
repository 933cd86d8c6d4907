"""Sees a released version hang, and remembers those under which a process died: neither is an outcome of a query."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from serving.engine.served_model import Classifier


class WatchedModel:
    """A model that says for how long it has been computing.

    Args:
        model: Does the work.
    """

    def __init__(self, model: Classifier) -> None:
        self._model = model
        self._since: float | None = None

    @property
    def labels(self) -> list[str]:
        """See `Classifier`."""
        return self._model.labels

    @property
    def busy_seconds(self) -> float:
        """For how long the call that runs now has run; 0 if none does. From any thread."""
        since = self._since
        return 0.0 if since is None else time.monotonic() - since

    def encode(self, records: Sequence[Mapping[str, Any]]) -> Any:
        """See `Classifier`."""
        self._since = time.monotonic()
        try:
            return self._model.encode(records)
        finally:
            self._since = None

    def forward(self, batch: Any) -> np.ndarray:
        """See `Classifier`."""
        self._since = time.monotonic()
        try:
            return self._model.forward(batch)
        finally:
            self._since = None


class Deaths:
    """How often a process of this home died while it held a release.

    A file per release has a line for each process that began to hold it; who stops in order takes the file away.

    Args:
        folder: Survives a restart of the process, as a pod's volume does.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self, release_id: str) -> int:
        """This process holds the release from now on; gives the number of those that died holding it."""
        path = self._path(release_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+", encoding="utf-8") as file:
            file.seek(0)
            earlier = len(file.read().splitlines())
            file.write(f"{time.time():.0f}\n")
        return earlier

    def end(self, release_id: str) -> None:
        """It holds it no longer, and lives."""
        self._path(release_id).unlink(missing_ok=True)

    def _path(self, release_id: str) -> Path:
        return self._folder / f"release-{release_id}"
