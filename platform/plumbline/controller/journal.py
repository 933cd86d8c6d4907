"""What happens to a retraining, told where it is looked for: in the state, and in the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from plumbline import paths
from plumbline.controller.records import Retraining, State
from plumbline.controller.state import ControllerState
from plumbline.registry.audit import AuditLog
from plumbline.settings import Settings

ACTOR = "plumbline-controller"
NOTHING_RUNS: dict[str, Any] = {"child_pid": None, "child_started": None}

_Ending = Literal["promoted", "rejected", "rolled_back"]
_ENDINGS: dict[_Ending, str] = {
    "promoted": "is the champion",
    "rejected": "stays out; the champion is kept",
    "rolled_back": "was let in and taken out again; the champion is kept",
}


def why_of(retraining: Retraining) -> str:
    """Why it was asked for, in a sentence."""
    return f"Alert: {retraining.reason}" if retraining.fingerprint else retraining.reason


class Journal:
    """Notes and endings of retrainings."""

    def __init__(self, settings: Settings, state: ControllerState) -> None:
        self._logs = paths.controller_dir(settings) / "logs"
        self._state = state
        self._audit = AuditLog(settings)

    def note(
        self, retraining: Retraining, what: str, why: str, numbers: Mapping[str, Any] | None = None, who: str = ACTOR
    ) -> None:
        """Writes an entry of the audit log about a retraining."""
        subject = f"{retraining.model}/{retraining.model_version or '?'} (retraining {retraining.id})"
        facts = {"snapshot": retraining.snapshot, "as_of": retraining.as_of.isoformat(), **(numbers or {})}
        self._audit.append(what, subject=subject, why=why, numbers=facts, who=who)

    def finish(
        self,
        retraining: Retraining,
        final: _Ending,
        *,
        expected: tuple[State, ...] | None = None,
        numbers: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> Retraining:
        """Brings a retraining to its end.

        Raises:
            MovedError: It is in none of the states that were expected.
        """
        done = self._state.update(
            retraining.id,
            f"retraining_{final}",
            expected=expected,
            **{"state": final, "step": "done", "ended_at": datetime.now(UTC), **NOTHING_RUNS, **changes},
        )
        self.note(done, final, f"Version {done.model_version} {_ENDINGS[final]}.", numbers)
        return done

    def log_of(self, retraining: Retraining, name: str | None = None) -> Path:
        """File that takes what a retraining's commands say: those of its last try, or others by their name."""
        return self._logs / f"{name or f'retraining-{retraining.id}-{retraining.attempts}'}.log"
