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
from typing import Any, Literal, Protocol

import numpy as np

from plumbline.errors import MissingInputError

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


State = Literal["followed", "uncovered", "gone", "failed"]


@dataclass(frozen=True)
class Following:
    """How the alias of a model is followed, as `/v1/models` shows it."""

    state: State
    """`followed`: what it names is served. `uncovered`: nobody has said that what it names may be served. `gone`: it
    names nothing any more. `failed`: it cannot be read, or what it names cannot be loaded."""

    version: str | None
    """What the alias names, as far as is known."""

    reason: str | None
    """What is wrong and what to do; None if nothing is."""

    since: datetime


class ModelSource(Protocol):
    """Where models come from: the registry, seen through one alias."""

    def version(self) -> str | None:
        """Version that the alias names now, None if it names none. Cheap."""
        ...

    def load(self, version: str) -> ServedModel:
        """Loads a version into memory."""
        ...

    def uncovered_because(self, version: str) -> str | None:
        """Why nobody has said that the version may be served, and what to do; None if somebody has. Cheap."""
        ...

    def gone_because(self, version: str) -> str:
        """What to say of an alias that named the version and names nothing now."""
        ...


class ModelSlot:
    """Holds the served model, and follows the alias in a thread of its own.

    Args:
        source: Where models come from.
        warm_up: Makes real predictions with a model that is not served yet.
        on_load: Told the outcome of each load: `loaded` or `failed`.
        on_state: Told each change of the state of the alias.
        poll_seconds: How often the alias is looked at.
        follow_any: Whether a version is served that nobody has said may be served.

    Raises:
        MissingInputError: The alias names no version, or one that may not be served.
    """

    def __init__(
        self,
        source: ModelSource,
        *,
        warm_up: Callable[[ServedModel], None],
        on_load: Callable[[str], None],
        on_state: Callable[[str], None],
        poll_seconds: float,
        follow_any: bool,
    ) -> None:
        self._source = source
        self._warm_up = warm_up
        self._on_load = on_load
        self._on_state = on_state
        self._poll_seconds = poll_seconds
        self._follow_any = follow_any
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="model-alias", daemon=True)
        version = source.version()
        if version is None:
            raise MissingInputError("The alias names no version.")  # the command checks this before anything starts
        uncovered = source.uncovered_because(version)
        if uncovered is not None and not follow_any:
            raise MissingInputError(uncovered)
        self.current = self._load(version)
        self.following = Following("followed", version, None, now())
        self._set("followed" if uncovered is None else "uncovered", version, uncovered)

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

    def _set(self, state: State, version: str | None, reason: str | None) -> None:
        before = self.following
        if (before.state, before.version, before.reason) == (state, version, reason):
            return
        self.following = Following(state, version, reason, now())
        self._on_state(state)
        if state in ("uncovered", "gone"):
            _log.error("Serving version %s. %s", self.current.version, reason)
        elif before.state in ("uncovered", "gone"):
            _log.warning("The alias is followed again, to version %s.", version)

    def _look(self) -> None:
        """One look at the alias, and a new version if it names one."""
        version = self._source.version()
        if version is None:
            self._set("gone", None, self._source.gone_because(self.current.version))
            return
        uncovered: str | None = None
        if version != self.current.version or self.following.state != "followed":
            uncovered = self._source.uncovered_because(version)
        if version != self.current.version and (uncovered is None or self._follow_any):
            previous = self.current.version
            self.current = self._load(version)
            _log.warning("Serving version %s in place of %s.", version, previous)
        self._set("followed" if uncovered is None else "uncovered", version, uncovered)

    def _follow(self) -> None:
        pause, failures = self._poll_seconds, 0
        while not self._stop.wait(pause):
            pause = self._poll_seconds
            try:
                self._look()
                failures = 0
            except Exception as error:  # noqa: BLE001 - MLflow's client, and whatever reads a model, raise errors of their own
                # A broken or unreachable new version must not take the old one down: keep serving, try again.
                failures += 1
                pause = min(self._poll_seconds * 2**failures, max(_LONGEST_PAUSE_SECONDS, self._poll_seconds))
                self._on_load("failed")
                self._set("failed", None, f"{type(error).__name__}: {str(error).partition(chr(10))[0]}")
                _log.exception(
                    "The alias could not be followed; version %s stays. Trying again in %.0f s.",
                    self.current.version,
                    pause,
                )


def now() -> datetime:
    """The instant, UTC."""
    return datetime.now(UTC)
