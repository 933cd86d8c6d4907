"""Works off the queue of retrainings, one at a time, in a thread of its own."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

from plumbline.controller.journal import NOTHING_RUNS, Journal, why_of
from plumbline.controller.records import CANCELLING, Retraining, State
from plumbline.controller.releasing import Releasing
from plumbline.controller.state import ControllerState, MovedError
from plumbline.controller.trainer import Attempt, CancelledError, Child, Job, Outcome, Trainer
from plumbline.errors import PlumblineError
from plumbline.settings import Settings

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 1.0
_TRIED: tuple[State, ...] = ("running", "queued")
"""What a retraining may be while it is tried: our own stop has put it back into the queue already."""

_MOST_CRASHES = 5
"""Of the controller in one try that outlives it. Nodes fail, and rarely so often within one training: by then the
retraining, or its answer, is what kills its controller, and the try counts as failed."""


class Loop:
    """Takes queued retrainings and brings each to its end; what a stop cut off is taken up at the next start."""

    def __init__(self, settings: Settings, state: ControllerState, trainer: Trainer) -> None:
        self._settings = settings
        self._state = state
        self._trainer = trainer
        self._journal = Journal(settings, state)
        self._releasing = Releasing(settings, state, trainer)
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="retraining-loop", daemon=True)

    def start(self) -> None:
        """Takes up what an earlier process left, then works until `stop`."""
        self.recover()
        self._thread.start()

    def wake(self) -> None:
        """There may be something to do."""
        self._wake.set()

    def interrupt(self) -> None:
        """Begins to stop: nothing that ends from now on counts as a failure.

        Safe in a signal handler: it sets nothing that its thread sets or waits for otherwise.
        """
        self._stopping.set()
        self._trainer.stop()

    def stop(self) -> None:
        """Ends what runs, and waits for the thread's end.

        Without a limit: the thread waits for processes that are being ended and for answers with limits of their own.
        Whoever stops us may lose patience and kill us, which costs nothing: the retraining is back in the queue.
        """
        self.interrupt()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def alive(self) -> bool:
        """Whether the thread works."""
        return self._thread.is_alive()

    def recover(self) -> None:
        """Takes up what ran when an earlier controller ended.

        After an orderly stop that is queued again already. What is `running` lost its controller by a crash: a try
        that outlives its controller is asked for again and found; any other counts, and is made again or given up.
        """
        for retraining in self._state.retrainings():
            if retraining.child_pid is not None and retraining.child_started is not None:
                self._trainer.end(Child(retraining.child_pid, retraining.child_started))
                retraining = self._state.update(retraining.id, **NOTHING_RUNS)  # noqa: PLW2901 - the same, later
            if retraining.state == "running":
                self._take_up(retraining)

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

    def follow_releases(self) -> None:
        """Brings each release that is due one look further: started, judged, over."""
        self._releasing.follow()

    def _work(self) -> None:
        while not self._stopping.is_set():
            found = False
            for part in (self._end_cancelled, self.follow_releases, self.run_once):
                try:
                    found = bool(part())
                except Exception:  # noqa: BLE001 - see below
                    # The loop must outlive any one failure, such as a locked database.
                    _log.exception("The retraining loop failed; it goes on.")
            if not found:
                self._wake.wait(_LOOK_SECONDS)
                self._wake.clear()

    def _take_up(self, retraining: Retraining) -> None:
        said = f"The controller was killed during the step '{retraining.step}'."
        if not self._trainer.resumes:
            self._again_or_fail(retraining, said)
        elif retraining.crashes + 1 < _MOST_CRASHES:
            # Not a new try: `_attempt` counts this one again, and so finds what it left under the same names.
            self._state.update(
                retraining.id, "retraining_picked_up", state="queued", attempts=retraining.attempts - 1,
                crashes=retraining.crashes + 1, not_before=None,
            )  # fmt: skip
        else:
            if retraining.job is not None:
                try:
                    self._trainer.end(Job(retraining.job))
                except PlumblineError as error:
                    _log.warning("Job %s could not be deleted; its own deadline ends it: %s", retraining.job, error)
            self._again_or_fail(retraining, f"{said} It was the controller number {_MOST_CRASHES} in this try.")

    def _attempt(self, retraining: Retraining) -> None:
        try:
            running = self._state.update(
                retraining.id,
                "retraining_started",
                expected=("queued",),
                state="running",
                step="features",
                attempts=retraining.attempts + 1,
                started_at=datetime.now(UTC),
                error=None,
                log=str(self._journal.log_of(retraining, f"retraining-{retraining.id}-{retraining.attempts + 1}")),
            )
        except MovedError:
            return  # cancelled a moment ago
        try:
            self._journal.note(running, "retrain", why_of(running), {"attempt": running.attempts})
            self._record(running, self._train(running))
        except (CancelledError, MovedError):
            self._end_cancelled()
        except Exception as error:  # noqa: BLE001 - see below
            # Whatever it was, the retraining must not stay `running` for ever.
            known = isinstance(error, PlumblineError)
            if not known:
                _log.exception("Retraining %d failed.", retraining.id)
            if self._stopping.is_set():
                # Whoever stopped us may have stopped its processes, too: that is no failure of theirs.
                self._interrupted(running)
                self._state.update(running.id, **NOTHING_RUNS)
            else:
                self._again_or_fail(running, str(error) if known else f"{type(error).__name__}: {error}")

    def _train(self, retraining: Retraining) -> Outcome:
        def on_start(running: Child | Job) -> None:
            if isinstance(running, Job):
                self._state.update(retraining.id, "job_started", job=running.name)
            else:
                self._state.update(retraining.id, child_pid=running.pid, child_started=running.started)

        attempt = Attempt(
            name_of(retraining),
            self._journal.log_of(retraining),
            on_start,
            job=retraining.job,
            on_stop=lambda: self._interrupted(retraining),
            cancelled=lambda: self._state.retraining(retraining.id).state == "cancelled",
        )
        controller = self._settings.controller
        self._trainer.prepare(retraining.snapshot, retraining.as_of, attempt=attempt)
        self._state.update(retraining.id, "features_ready", expected=_TRIED, step="training")
        return self._trainer.train(
            retraining.snapshot,
            retraining.as_of,
            reason=f"Retraining {retraining.id} of the controller. {why_of(retraining)}",
            promote=controller.release == "direct" and not controller.require_approval,
            attempt=attempt,
        )

    def _record(self, retraining: Retraining, outcome: Outcome) -> None:
        gate = outcome.result.get("gate", {})
        judged = {
            "attempts": retraining.attempts,
            "gate_verdict": outcome.verdict,
            "model_version": outcome.model_version,
            "run_id": outcome.run_id,
            "result": outcome.result,
            **NOTHING_RUNS,
        }
        if outcome.promoted:
            # A fact, even where somebody has cancelled it meanwhile: serving follows the champion already.
            self._journal.finish(retraining, "promoted", numbers=gate, error=None, **judged)
        elif outcome.verdict == "reject":
            self._journal.finish(retraining, "rejected", expected=_TRIED, numbers=gate, **judged)
        elif outcome.verdict == "review" or self._settings.controller.require_approval:
            self._ask_for_approval(retraining, gate, judged)
        else:
            self._releasing.let_in(retraining, expected=_TRIED, numbers=gate, **judged)

    def _ask_for_approval(self, retraining: Retraining, gate: dict[str, Any], judged: dict[str, Any]) -> None:
        found = "asks for a person's look" if judged["gate_verdict"] == "review" else "agrees"
        why = f"The gate {found}. {' '.join(map(str, gate.get('reasons', ())))}"
        waiting = self._state.update(
            retraining.id, "approval_needed", expected=_TRIED, state="awaiting_approval", step=why, **judged
        )
        number = retraining.id
        self._journal.note(
            waiting,
            "await approval",
            f"{why} `plumbline controller approve {number}` makes the version the champion, `plumbline controller "
            f"reject {number} --reason ...` keeps it out.",
            gate,
        )

    def _interrupted(self, retraining: Retraining) -> None:
        """Back into the queue, as if the try had not been made. Before its processes are ended, and once they are."""
        with contextlib.suppress(MovedError):
            self._state.update(
                retraining.id,
                "retraining_interrupted",
                expected=("running",),
                state="queued",
                step="waiting for the controller",
                attempts=retraining.attempts - 1,
                not_before=None,
            )

    def _again_or_fail(self, retraining: Retraining, reason: str) -> None:
        controller = self._settings.controller
        again = retraining.attempts < controller.max_attempts
        changes: dict[str, Any] = {"error": reason, "crashes": 0, "attempts": retraining.attempts, **NOTHING_RUNS}
        if again:
            pause = timedelta(seconds=controller.retry_pause_seconds)
            changes |= {"state": "queued", "step": "waiting to try again", "not_before": datetime.now(UTC) + pause}
        else:
            changes |= {"state": "failed", "ended_at": datetime.now(UTC)}
        event = "retraining_retry" if again else "retraining_failed"
        try:
            after = self._state.update(retraining.id, event, expected=_TRIED, **changes)
        except MovedError:
            self._end_cancelled()
            return
        tries = f"try {retraining.attempts} of {controller.max_attempts}"
        advice = "" if again else f" After the repair: `plumbline controller retry {retraining.id} --reason ...`."
        self._journal.note(after, "retry" if again else "fail", f"{reason} ({tries}){advice}")

    def _end_cancelled(self) -> None:
        """Ends what still runs of retrainings that were cancelled."""
        for retraining in self._state.retrainings(states=("cancelled",)):
            if retraining.step == CANCELLING:
                end_what_runs(retraining, self._state, self._trainer)


def end_what_runs(retraining: Retraining, state: ControllerState, trainer: Trainer) -> Retraining:
    """Ends the process or the Job of a retraining that was cancelled."""
    if retraining.child_pid is not None and retraining.child_started is not None:
        trainer.end(Child(retraining.child_pid, retraining.child_started))
    if retraining.job is not None:
        trainer.end(Job(retraining.job))
    return state.update(retraining.id, step="done", **NOTHING_RUNS)


def name_of(retraining: Retraining) -> str:
    """Names a try for good: numbers begin again where a controller has lost its state, creation times do not."""
    token = hashlib.sha256(retraining.created_at.isoformat().encode()).hexdigest()[:6]
    return f"{retraining.id}-{retraining.attempts}-{token}"
