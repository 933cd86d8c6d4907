"""Works off the queue of retrainings, one at a time, in a thread of its own."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from plumbline import paths
from plumbline.controller.process import end_child
from plumbline.controller.state import ControllerState, Retraining
from plumbline.controller.trainer import Attempt, Child, Job, Outcome, ReleaseStep, StoppedError, Trainer
from plumbline.errors import PlumblineError, UserError
from plumbline.registry.audit import AuditLog
from plumbline.settings import Settings

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 1.0
_ACTOR = "plumbline-controller"
_ENDINGS = {
    "promoted": "is the champion",
    "rejected": "stays a challenger; the champion is kept",
    "rolled_back": "was let in and taken out again; the champion is kept",
}


class Loop:
    """Takes queued retrainings and brings each to its end; what a stop cut off is taken up at the next start."""

    def __init__(self, settings: Settings, state: ControllerState, trainer: Trainer) -> None:
        self._settings = settings
        self._state = state
        self._trainer = trainer
        self._audit = AuditLog(settings)
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._looked_at: dict[int, float] = {}
        self._answered: dict[int, float] = {}
        self._thread = threading.Thread(target=self._work, name="retraining-loop", daemon=True)

    def start(self) -> None:
        """Takes up what an earlier process left, then works until `stop`."""
        self.recover()
        self._thread.start()

    def wake(self) -> None:
        """There may be something to do."""
        self._wake.set()

    def stop(self, *, timeout_seconds: float = 30.0) -> None:
        """Ends the child process that runs, and the thread."""
        self._stopping.set()
        self._trainer.stop()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)

    @property
    def alive(self) -> bool:
        """Whether the thread works."""
        return self._thread.is_alive()

    def recover(self) -> None:
        """Takes up what ran when an earlier controller ended.

        A Job goes on without the controller: the same try is asked for again, and finds it. A child process is
        ended, and its retraining is queued again or given up.
        """
        for retraining in self._state.retrainings(states=("running",)):
            if self._trainer.resumes:
                # Not a new try: `_attempt` counts this one again, and so finds the same Jobs under the same names.
                self._state.update(
                    retraining.id, "retraining_picked_up", state="queued", attempts=retraining.attempts - 1,
                    not_before=None,
                )  # fmt: skip
                continue
            if retraining.child_pid is not None and retraining.child_started is not None:
                end_child(Child(retraining.child_pid, retraining.child_started))
            self._again_or_fail(retraining, f"The controller stopped during the step '{retraining.step}'.")

    def run_once(self) -> bool:
        """Brings the oldest retraining that may start to its end.

        Returns:
            Whether there was one.
        """
        retraining = self._state.next_queued(datetime.now(UTC))
        if retraining is None:
            return False
        self._attempt(retraining)
        return True

    def approve(self, number: int, *, who: str) -> Retraining:
        """Promotes the version of a retraining that waits for approval, or lets it in where releases are canaries.

        Raises:
            UserError: There is no such retraining, or it does not wait for approval.
            PlumblineError: The promotion failed; it still waits.
        """
        retraining = self._state.retraining(number)
        if retraining is None or retraining.state != "awaiting_approval" or retraining.model_version is None:
            found = "does not exist" if retraining is None else f"is {retraining.state}"
            raise UserError(f"Retraining {number} {found}: there is nothing to approve.")
        if self._settings.controller.release == "canary":
            self._let_in(retraining, approved_by=who)
            return self._known(number)
        reason = f"Retraining {number} approved by {who}: {retraining.reason}"
        attempt = Attempt(f"approve-{number}", self._log_of(retraining), on_start=lambda _: None)
        self._trainer.promote(retraining.model_version, reason, attempt=attempt)
        self._finish(retraining, "promoted", approved_by=who)
        return self._known(number)

    def follow_releases(self) -> None:
        """Brings each release that is due one look further: started, judged, over."""
        for retraining in self._state.retrainings(states=("releasing",)):
            now = time.monotonic()
            if (
                now - self._looked_at.get(retraining.id, -float("inf"))
                >= self._settings.controller.release_poll_seconds
            ):
                self._follow(retraining)
                self._looked_at[retraining.id] = time.monotonic()

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                self.follow_releases()
                found = self.run_once()
            except Exception:  # noqa: BLE001 - see below
                # The loop must outlive any one failure, such as a locked database.
                _log.exception("The retraining loop failed; it goes on.")
                found = False
            if not found:
                self._wake.wait(_LOOK_SECONDS)
                self._wake.clear()

    def _attempt(self, retraining: Retraining) -> None:
        number = retraining.id
        log = self._log_of(retraining, attempt=retraining.attempts + 1)
        self._state.update(
            number,
            "retraining_started",
            state="running",
            step="features",
            attempts=retraining.attempts + 1,
            started_at=datetime.now(UTC),
            error=None,
            log=str(log),
        )
        running = self._known(number)
        self._note(running, "retrain", f"Alert: {retraining.reason}", {"attempt": running.attempts})
        try:
            self._record(running, self._train(running, log))
        except StoppedError:
            # Not a failure of its own: the state stays `running`, which the next start takes up.
            self._state.update(number, "retraining_interrupted")
            return
        except PlumblineError as error:
            self._again_or_fail(running, str(error))
        except Exception as error:  # noqa: BLE001 - see below
            # Whatever it was, the retraining must not stay `running` for ever.
            _log.exception("Retraining %d failed.", number)
            self._again_or_fail(running, f"{type(error).__name__}: {error}")

    def _train(self, retraining: Retraining, log: Path) -> Outcome:
        def on_start(running: Child | Job) -> None:
            if isinstance(running, Job):
                self._state.update(retraining.id, "job_started", job=running.name)
            else:
                self._state.update(retraining.id, child_pid=running.pid, child_started=running.started)

        attempt = Attempt(_name_of(retraining), log, on_start, job=retraining.job)
        controller = self._settings.controller
        self._trainer.prepare(retraining.snapshot, retraining.as_of, attempt=attempt)
        self._state.update(retraining.id, "features_ready", step="training")
        return self._trainer.train(
            retraining.snapshot,
            retraining.as_of,
            reason=f"Retraining {retraining.id} of the controller. Alert: {retraining.reason}",
            promote=controller.release == "direct" and not controller.require_approval,
            attempt=attempt,
        )

    def _record(self, retraining: Retraining, outcome: Outcome) -> None:
        self._state.update(
            retraining.id,
            "gate_decided",
            gate_verdict=outcome.verdict,
            model_version=outcome.model_version,
            run_id=outcome.run_id,
            result=outcome.result,
            step="gate",
        )
        if outcome.verdict == "promote" and not outcome.promoted and not self._settings.controller.require_approval:
            self._let_in(self._known(retraining.id), gate=outcome.result.get("gate", {}))
            return
        if outcome.verdict == "promote" and not outcome.promoted:
            self._state.update(retraining.id, "approval_needed", state="awaiting_approval", step="approval")
            self._note(
                self._known(retraining.id),
                "await approval",
                f"The gate agrees; `plumbline controller approve {retraining.id}` makes the version the champion.",
                outcome.result.get("gate", {}),
            )
            return
        final = "promoted" if outcome.promoted else "rejected"
        self._finish(self._known(retraining.id), final, gate=outcome.result.get("gate", {}))

    def _let_in(self, retraining: Retraining, **numbers: Any) -> None:
        """From now on `follow_releases` looks after it, this process or the next."""
        self._state.update(retraining.id, "release_wanted", state="releasing", step="starting the canary")
        why = f"The gate agrees; version {retraining.model_version} is let in as a canary."
        self._note(retraining, "release", why, numbers)

    def _follow(self, retraining: Retraining) -> None:
        number, log = retraining.id, paths.controller_dir(self._settings) / "logs" / f"release-{retraining.id}.log"
        log.unlink(missing_ok=True)  # the last look's words are kept, not those of a thousand
        reason = f"Retraining {number} of the controller. Alert: {retraining.reason}"
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
            self._end_release(retraining, found)
        elif (found.why, None) != (retraining.step, retraining.error):
            self._state.update(number, "release_judged", step=found.why, error=None)

    def _end_release(self, retraining: Retraining, found: ReleaseStep) -> None:
        result = {**(retraining.result or {}), "release": {"state": found.state, "why": found.why, **found.numbers}}
        self._state.update(retraining.id, result=result, error=None)
        final = "promoted" if found.state == "promoted" else "rolled_back"
        self._finish(retraining, final, why=found.why, release=found.numbers)

    def _lose_patience(self, retraining: Retraining, error: str) -> None:
        patience = self._settings.controller.release_patience_seconds
        if time.monotonic() - self._answered[retraining.id] < patience:
            self._state.update(retraining.id, "release_unanswered", error=error)
            return
        said = f"The release was given up after {patience:.0f} s without an answer: {error}"
        self._state.update(retraining.id, "retraining_failed", state="failed", error=said, ended_at=datetime.now(UTC))
        self._note(retraining, "fail", f"{said} `plumbline release status` shows where it stands.", {})

    def _finish(self, retraining: Retraining, final: str, **numbers: Any) -> None:
        self._state.update(
            retraining.id,
            f"retraining_{final}",
            state=final,
            step="done",
            ended_at=datetime.now(UTC),
            child_pid=None,
            child_started=None,
        )
        self._note(retraining, final, f"Version {retraining.model_version} {_ENDINGS[final]}.", numbers)

    def _again_or_fail(self, retraining: Retraining, reason: str) -> None:
        controller = self._settings.controller
        again = retraining.attempts < controller.max_attempts
        changes: dict[str, Any] = {"error": reason, "child_pid": None, "child_started": None}
        if again:
            pause = timedelta(seconds=controller.retry_pause_seconds)
            changes |= {"state": "queued", "step": "waiting to try again", "not_before": datetime.now(UTC) + pause}
        else:
            changes |= {"state": "failed", "ended_at": datetime.now(UTC)}
        self._state.update(retraining.id, "retraining_retry" if again else "retraining_failed", **changes)
        tries = f"try {retraining.attempts} of {controller.max_attempts}"
        self._note(retraining, "retry" if again else "fail", f"{reason} ({tries})", {})

    def _note(self, retraining: Retraining, what: str, why: str, numbers: Mapping[str, Any]) -> None:
        subject = f"{retraining.model}/{retraining.model_version or '?'} (retraining {retraining.id})"
        facts = {"snapshot": retraining.snapshot, "as_of": retraining.as_of.isoformat(), **numbers}
        self._audit.append(what, subject=subject, why=why, numbers=facts, who=_ACTOR)

    def _log_of(self, retraining: Retraining, attempt: int | None = None) -> Path:
        name = f"retraining-{retraining.id}-{attempt or retraining.attempts}.log"
        return paths.controller_dir(self._settings) / "logs" / name

    def _known(self, number: int) -> Retraining:
        found = self._state.retraining(number)
        if found is None:
            raise UserError(f"There is no retraining {number}.")
        return found


def _name_of(retraining: Retraining) -> str:
    """Names a try for good: numbers begin again where a controller has lost its state, creation times do not."""
    token = hashlib.sha256(retraining.created_at.isoformat().encode()).hexdigest()[:6]
    return f"{retraining.id}-{retraining.attempts}-{token}"
