"""Versions that are let in as canaries: started, judged, and recorded once they are over."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from plumbline.controller.journal import Journal, why_of
from plumbline.controller.records import Retraining, State
from plumbline.controller.state import ControllerState
from plumbline.controller.trainer import Attempt, ReleaseStep, StoppedError, Trainer
from plumbline.errors import PlumblineError
from plumbline.settings import Settings


class Releasing:
    """Follows the releases of retrainings. Where one stands is in the registry, so that any stop loses nothing."""

    def __init__(self, settings: Settings, state: ControllerState, trainer: Trainer) -> None:
        self._settings = settings.controller
        self._state = state
        self._trainer = trainer
        self._journal = Journal(settings, state)
        self._looked_at: dict[int, float] = {}
        self._answered: dict[int, float] = {}

    def let_in(
        self,
        retraining: Retraining,
        *,
        expected: tuple[State, ...],
        numbers: Mapping[str, Any],
        **changes: Any,
    ) -> Retraining:
        """From now on `follow` looks after it, in this process or in the next.

        Raises:
            MovedError: It is in none of the states that were expected.
        """
        wanted = self._state.update(
            retraining.id, "release_wanted", expected=expected, state="releasing", step="starting the canary", **changes
        )
        why = f"The gate agrees; version {wanted.model_version} is let in as a canary."
        self._journal.note(wanted, "release", why, numbers)
        return wanted

    def follow(self) -> None:
        """Brings each release that is due one look further."""
        for retraining in self._state.retrainings(states=("releasing",)):
            since = time.monotonic() - self._looked_at.get(retraining.id, -float("inf"))
            if since >= self._settings.release_poll_seconds:
                self._look(retraining)
                self._looked_at[retraining.id] = time.monotonic()

    def _look(self, retraining: Retraining) -> None:
        number, log = retraining.id, self._journal.log_of(retraining, f"release-{retraining.id}")
        log.unlink(missing_ok=True)  # the last look's words are kept, not those of a thousand
        reason = f"Retraining {number} of the controller. {why_of(retraining)}"
        attempt = Attempt(f"release-{number}", log, on_start=lambda _: None)
        self._answered.setdefault(number, time.monotonic())
        try:
            found = self._trainer.release(str(retraining.model_version), reason, attempt=attempt)
        except StoppedError:
            return
        except PlumblineError as error:
            self._lose_patience(retraining, str(error))
            return
        self._answered[number] = time.monotonic()
        if found.state != "running":
            self._end(retraining, found)
        elif (found.why, None) != (retraining.step, retraining.error):
            self._state.update(number, "release_judged", step=found.why, error=None)

    def _end(self, retraining: Retraining, found: ReleaseStep) -> None:
        result = {**(retraining.result or {}), "release": {"state": found.state, "why": found.why, **found.numbers}}
        self._journal.finish(
            retraining,
            "promoted" if found.state == "promoted" else "rolled_back",
            numbers={"why": found.why, "release": found.numbers},
            result=result,
            error=None,
        )

    def _lose_patience(self, retraining: Retraining, error: str) -> None:
        patience = self._settings.release_patience_seconds
        if time.monotonic() - self._answered[retraining.id] < patience:
            self._state.update(retraining.id, "release_unanswered", error=error)
            return
        said = f"The release was given up after {patience:.0f} s without an answer: {error}"
        failed = self._state.update(
            retraining.id, "retraining_failed", state="failed", error=said, ended_at=datetime.now(UTC)
        )
        self._journal.note(failed, "fail", f"{said} `plumbline release status` shows where it stands.")
