"""What a person decides about retrainings: from any process on the controller's state, whether it runs or not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from plumbline import paths
from plumbline.controller.intake import FURTHEST, reason_of
from plumbline.controller.journal import Journal
from plumbline.controller.lock import holder_of
from plumbline.controller.loop import end_what_runs
from plumbline.controller.records import CANCELLING, Retraining, State
from plumbline.controller.releasing import Releasing
from plumbline.controller.state import ControllerState, MovedError
from plumbline.controller.trainer import Attempt, Trainer
from plumbline.errors import DependencyError, PlumblineError, UserError
from plumbline.locks import try_exclusive
from plumbline.settings import Settings


class Decisions:
    """Each is written to the audit log: who, and why.

    Args:
        settings: The controller's.
        state: The controller's.
        trainer: Promotes and rejects versions, and ends what runs where no controller does.
        who: The person.
    """

    def __init__(self, settings: Settings, state: ControllerState, trainer: Trainer, *, who: str) -> None:
        self._settings = settings
        self._state = state
        self._trainer = trainer
        self._who = who
        self._journal = Journal(settings, state)

    def approve(self, number: int, why: str) -> Retraining:
        """Promotes the version of a retraining that waits for approval, or lets it in where releases are canaries.

        Raises:
            UserError: There is no such retraining, it does not wait for approval, or it is being decided about.
            PlumblineError: The promotion failed; it still waits.
        """
        with self._one_at_a_time():
            waiting = self._require(number, ("awaiting_approval",), "approved")
            numbers = {"approved_by": self._who, "approval": why}
            if self._settings.controller.release == "canary":
                self._note(waiting, "approve", why)
                releasing = Releasing(self._settings, self._state, self._trainer)
                return releasing.let_in(waiting, expected=("awaiting_approval",), numbers=numbers)
            reason = f"Retraining {number} approved by {self._who}: {why}"
            self._trainer.promote(str(waiting.model_version), reason, attempt=self._attempt("approve", waiting))
            self._note(waiting, "approve", why)
            return self._journal.finish(waiting, "promoted", expected=("awaiting_approval",), numbers=numbers)

    def reject(self, number: int, why: str) -> Retraining:
        """Keeps the version of a retraining that waits for approval out: it loses the alias `challenger`.

        Raises:
            UserError: There is no such retraining, it does not wait for approval, or it is being decided about.
            PlumblineError: The registry did not take it; it still waits.
        """
        with self._one_at_a_time():
            waiting = self._require(number, ("awaiting_approval",), "rejected")
            reason = f"Retraining {number} rejected by {self._who}: {why}"
            self._trainer.reject(str(waiting.model_version), reason, attempt=self._attempt("reject", waiting))
            self._note(waiting, "reject", why)
            numbers = {"rejected_by": self._who, "rejection": why}
            return self._journal.finish(waiting, "rejected", expected=("awaiting_approval",), numbers=numbers)

    def cancel(self, number: int, why: str) -> Retraining:
        """Ends a retraining that is queued or running. What runs of it is ended by the controller, within seconds, or
        at once where none works.

        Raises:
            UserError: There is no such retraining, or it neither waits nor runs.
            DependencyError: It is cancelled, and what runs of it could not be ended; the next controller does that.
        """
        self._require(number, ("queued", "running"), "cancelled")
        try:
            cancelled = self._state.update(
                number,
                "retraining_cancelled",
                expected=("queued", "running"),
                state="cancelled",
                step=CANCELLING,
                error=f"Cancelled by {self._who}: {why}",
                ended_at=datetime.now(UTC),
            )
        except MovedError as error:
            raise _refusal(error.retraining, "cancelled") from error
        self._note(cancelled, "cancel", why)
        if holder_of(self._settings) is not None:
            return cancelled
        try:
            return end_what_runs(cancelled, self._state, self._trainer)
        except PlumblineError as error:
            raise DependencyError(
                f"Retraining {number} is cancelled, and what runs of it could not be ended: {error} The next "
                "controller does that: `plumbline controller run`."
            ) from error

    def retry(self, number: int, why: str) -> Retraining:
        """Queues what a retraining that failed or was cancelled was to do, as a new one.

        Raises:
            UserError: There is no such retraining, it neither failed nor was cancelled, or another is under way.
        """
        before = self._require(number, ("failed", "cancelled"), "tried again")
        reason = f"Retraining {number} again, by {self._who}: {why}"
        return self._queue("retry", before.snapshot, before.as_of, reason, why)

    def trigger(self, snapshot: str, as_of: datetime, why: str) -> Retraining:
        """Queues a retraining.

        Args:
            snapshot: Postings to train on: an id, or `latest`.
            as_of: What is known at this instant is trained on.
            why: For the audit log.

        Raises:
            UserError: Another retraining of the model is under way, or the instant lies more than a year ahead.
        """
        if as_of > datetime.now(UTC) + FURTHEST:
            raise UserError(f"--as-of {as_of.isoformat()} lies more than a year ahead. Give an earlier instant.")
        return self._queue("trigger", snapshot, as_of, f"Asked for by {self._who}: {why}", why)

    def _queue(self, what: str, snapshot: str, as_of: datetime, reason: str, why: str) -> Retraining:
        model = self._settings.tracking.model_name
        with self._state.writing() as writer:
            other = writer.under_way(model)
            if other is not None:
                raise UserError(
                    f"Retraining {other.id} of {model} is {other.state}, and one goes on at a time. {_advice(other)}"
                )
            queued = writer.add_retraining(
                model=model,
                fingerprint="",
                reason=reason_of(reason),
                snapshot=snapshot,
                as_of=as_of,
                not_before=as_of if self._settings.controller.wait_for_as_of else None,
            )
        self._note(queued, what, why)
        return queued

    def _require(self, number: int, states: tuple[State, ...], what: str) -> Retraining:
        found = self._state.retraining(number)
        if found.state not in states:
            raise _refusal(found, what)
        return found

    def _attempt(self, what: str, retraining: Retraining) -> Attempt:
        name = f"{what}-{retraining.id}"
        return Attempt(name, self._journal.log_of(retraining, name), on_start=lambda _: None)

    def _note(self, retraining: Retraining, what: str, why: str) -> None:
        self._journal.note(retraining, what, why, {"state": retraining.state}, who=self._who)

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        """Promoting takes seconds: nobody must reject the version meanwhile. A process that is killed holds nothing."""
        with try_exclusive(paths.controller_dir(self._settings) / "decisions.lock") as held:
            if not held:
                raise UserError(
                    "Another approval or rejection is being carried out. `plumbline controller status` shows in some "
                    "seconds what came of it."
                )
            yield


_RETRY = "`plumbline controller retry {id} --reason ...` tries it again."
_TRAIN_AGAIN = (
    "`plumbline controller trigger --snapshot {snapshot} --as-of {as_of} --reason ...` trains as of the same instant."
)
_ADVICE: dict[State, str] = {
    "queued": "`plumbline controller cancel {id} --reason ...` takes it out of the queue.",
    "running": "Wait for its end, or end it: `plumbline controller cancel {id} --reason ...`.",
    "awaiting_approval": "Decide about its version: `plumbline controller approve {id}` or `reject {id} --reason ...`.",
    "releasing": (
        "Its version {model_version} is a canary: wait for its end, or take it out with `plumbline release abort "
        "--reason ...`."
    ),
    "promoted": "`plumbline models rollback --reason ...` makes the champion before it champion again.",
    "rejected": _TRAIN_AGAIN,
    "rolled_back": _TRAIN_AGAIN,
    "failed": _RETRY,
    "cancelled": _RETRY,
}
"""What may be done about a retraining, by its state."""


def _advice(retraining: Retraining) -> str:
    return _ADVICE[retraining.state].format(**retraining.to_json())


def _refusal(retraining: Retraining, what: str) -> UserError:
    return UserError(f"Retraining {retraining.id} is {retraining.state} and cannot be {what}. {_advice(retraining)}")
