"""The model that is served now, and the thread that follows the registry's alias.

A new version is loaded beside the old one, warmed up by real predictions, and then takes its place by one
assignment: a batch sees the old model or the new one, never half of each, and no request waits for a swap.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import numpy as np

_log = logging.getLogger(__name__)

_STOP_SECONDS = 2.0
_LONGEST_PAUSE_SECONDS = 30.0
"""Between two tries at a version that does not load: each fetches its files anew."""


class Classifier(Protocol):
    """What serving asks of a model: encode records, then give calibrated probabilities."""

    @property
    def labels(self) -> list[str]:
        """Class codes, in the order of the probability columns."""
        ...

    def encode(self, records: Sequence[Mapping[str, Any]]) -> Any:
        """Turns records (title, description, feature values) into the model's input."""
        ...

    def forward(self, batch: Any) -> np.ndarray:
        """Probabilities, shape (records, labels)."""
        ...


@dataclass(frozen=True)
class ServedModel:
    """A loaded version, as `/v1/models` shows it."""

    name: str
    alias: str
    version: str
    digest: str
    model: Classifier
    loaded_at: datetime


class ModelSource(Protocol):
    """Where models come from: the registry, seen through one alias."""

    def version(self) -> str | None:
        """Version that the alias names now, None if it names none. Cheap."""
        ...

    def load(self, version: str) -> ServedModel:
        """Loads a version into memory."""
        ...


class ModelSlot:
    """Holds the served model, and follows the alias in a thread of its own.

    Args:
        source: Where models come from.
        warm_up: Makes real predictions with a model that is not served yet.
        on_load: Told the outcome of each load: `loaded` or `failed`.
        poll_seconds: How often the alias is looked at.
    """

    def __init__(
        self,
        source: ModelSource,
        *,
        warm_up: Callable[[ServedModel], None],
        on_load: Callable[[str], None],
        poll_seconds: float,
    ) -> None:
        self._source = source
        self._warm_up = warm_up
        self._on_load = on_load
        self._poll_seconds = poll_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="model-alias", daemon=True)
        version = source.version()
        if version is None:
            raise RuntimeError("the alias names no version")  # the command checks this before anything starts
        self.current = self._load(version)

    def start(self) -> None:
        """Starts to follow the alias."""
        self._thread.start()

    def stop(self) -> None:
        """Stops following; the current model stays. A registry that hangs is not waited for."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)

    def _load(self, version: str) -> ServedModel:
        served = self._source.load(version)
        self._warm_up(served)
        self._on_load("loaded")
        return served

    def _follow(self) -> None:
        pause, failures = self._poll_seconds, 0
        while not self._stop.wait(pause):
            pause = self._poll_seconds
            try:
                version = self._source.version()
                if version is not None and version != self.current.version:
                    previous = self.current.version
                    self.current = self._load(version)
                    _log.warning("Serving version %s in place of %s.", version, previous)
                failures = 0
            except Exception:  # noqa: BLE001 - MLflow's client, and whatever reads a model, raise errors of their own
                # A broken or unreachable new version must not take the old one down: keep serving, try again.
                failures += 1
                pause = min(self._poll_seconds * 2**failures, max(_LONGEST_PAUSE_SECONDS, self._poll_seconds))
                self._on_load("failed")
                _log.exception(
                    "The alias could not be followed; version %s stays. Trying again in %.0f s.",
                    self.current.version,
                    pause,
                )


def now() -> datetime:
    """The instant, UTC."""
    return datetime.now(UTC)
