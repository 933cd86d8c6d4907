"""What the loop asks of whoever retrains, and what both kinds of them share: commands, and how answers are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from plumbline.errors import PlumblineError, SettingsError
from plumbline.settings import Settings


class StoppedError(PlumblineError):
    """The controller was asked to stop while a step ran; the retraining is taken up at the next start."""


class CancelledError(PlumblineError):
    """A person has cancelled the retraining while a step ran; what ran is ended."""


@dataclass(frozen=True)
class Outcome:
    """What a training came to.

    Attributes:
        verdict: Of the gate: `promote`, `review` (a person may look at it) or `reject`.
        model_version: The registered version.
        run_id: Its MLflow run.
        promoted: Whether it is the champion now.
        result: Everything that the pipeline answered.
    """

    verdict: str
    model_version: str
    run_id: str
    promoted: bool
    result: dict[str, Any]


@dataclass(frozen=True)
class ReleaseStep:
    """Where a release stands.

    Attributes:
        state: `running`, or how it ended: `promoted`, `rolled_back`, `aborted`.
        why: In a sentence.
        numbers: Behind it.
    """

    state: Literal["running", "promoted", "rolled_back", "aborted"]
    why: str
    numbers: dict[str, Any]


@dataclass(frozen=True)
class Child:
    """A process that a step runs in; `started` tells it from a later one with the same number."""

    pid: int
    started: float


@dataclass(frozen=True)
class Job:
    """A Kubernetes Job that a step runs in."""

    name: str


OnStart = Callable[[Child | Job], None]


@dataclass(frozen=True)
class Attempt:
    """One try of a retraining.

    Attributes:
        name: Its name: letters, digits and dashes, the same after a restart of the controller, never used again.
        log: File that takes what the try's commands say on this machine.
        on_start: Told what a step runs in, once it runs.
        job: The Job that an earlier controller started for this try.
        on_stop: Called when a stop of the controller cuts the step off, before what it runs in is ended: however that
            goes, the try is not to count.
        cancelled: Whether the retraining was cancelled; asked now and then.
    """

    name: str
    log: Path
    on_start: OnStart
    job: str | None = None
    on_stop: Callable[[], None] = lambda: None
    cancelled: Callable[[], bool] = lambda: False


class Trainer(Protocol):
    """Prepares features, trains, and promotes."""

    @property
    def resumes(self) -> bool:
        """Whether a step goes on without the controller: the same attempt asked for again then takes it up."""
        ...

    def prepare(self, snapshot: str, as_of: datetime, *, attempt: Attempt) -> None:
        """Rebuilds the features as of the instant, and has parity between offline and online measured and recorded.

        Raises:
            PlumblineError: It failed, or parity is below 100%.
            StoppedError: `stop` was called.
            CancelledError: The retraining was cancelled.
        """
        ...

    def train(self, snapshot: str, as_of: datetime, *, reason: str, promote: bool, attempt: Attempt) -> Outcome:
        """Trains, gates, and (with `promote`, where the gate agrees) makes the new version the champion.

        Raises:
            PlumblineError: It failed.
            StoppedError: `stop` was called.
            CancelledError: The retraining was cancelled.
        """
        ...

    def promote(self, version: str, reason: str, *, attempt: Attempt) -> None:
        """Makes a version the champion.

        Raises:
            PlumblineError: It failed.
            StoppedError: `stop` was called.
        """
        ...

    def reject(self, version: str, reason: str, *, attempt: Attempt) -> None:
        """Keeps a version out: it loses the alias `challenger`.

        Raises:
            PlumblineError: It failed.
            StoppedError: `stop` was called.
        """
        ...

    def release(self, version: str, reason: str, *, attempt: Attempt) -> ReleaseStep:
        """Lets a version in as a canary, or judges the canary that it is, and does what the verdict says.

        It asks the registry where the release stands, so that it may be asked again after any stop.

        Raises:
            PlumblineError: It failed.
            StoppedError: `stop` was called.
        """
        ...

    def end(self, left: Child | Job) -> None:
        """Ends what a step runs in, one of an earlier controller too; what is gone is left at that."""
        ...

    def stop(self) -> None:
        """Ends the waiting, and what cannot go on alone; the call that waits raises `StoppedError`.

        Safe in a signal handler.
        """
        ...


def trainer_for(settings: Settings) -> Trainer:
    """The trainer that the settings name.

    Raises:
        SettingsError: What the launcher needs is not set.
    """
    if settings.controller.launcher == "kubernetes":
        from plumbline.controller.kubernetes import KubernetesTrainer

        if settings.controller.job_template is None or settings.store.bucket is None:
            raise SettingsError(
                "The launcher `kubernetes` needs PLUMBLINE_CONTROLLER__JOB_TEMPLATE (a CronJob) and "
                "PLUMBLINE_STORE__BUCKET (where a Job leaves its answer)."
            )
        return KubernetesTrainer(settings)
    from plumbline.controller.process import CommandTrainer

    return CommandTrainer(settings)


def waits_elsewhere(arguments: Sequence[str]) -> bool:
    """Whether a command only waits for a run on the KFP API server: it has a patience of its own with that, and a
    message about it."""
    return "submit" in arguments and "--wait" in arguments


def prepare_arguments(settings: Settings, snapshot: str, as_of: datetime) -> list[str]:
    """The command that rebuilds the features."""
    pairs = str(settings.controller.parity_pairs)
    return ["features", "prepare", "--snapshot", snapshot, "--as-of", as_of.isoformat(), "--pairs", pairs]


def training_arguments(
    settings: Settings, snapshot: str, as_of: datetime, *, reason: str, promote: bool, key: str
) -> list[str]:
    """The command that trains: in the process that it runs in, or on the KFP API server.

    There, `key` names the run: a command that is run again takes it up, and submits no second one.
    """
    embedded = settings.pipelines.runner == "embedded"
    changes = settings.controller.training_settings.items()
    return [
        *(("pipeline", "run", "training") if embedded else ("pipeline", "submit", "training", "--wait", "--key", key)),
        "--snapshot", snapshot, "--as-of", as_of.isoformat(), "--reason", reason,
        *(word for name, value in changes for word in ("--set", f"{name}={value}")),
        *(() if promote else ("--no-promote",)),
    ]  # fmt: skip


def outcome_of(answer: dict[str, Any]) -> Outcome:
    """What a training answered."""
    return Outcome(
        verdict=str(answer["gate"]["verdict"]),
        model_version=str(answer["model_version"]),
        run_id=str(answer["run_id"]),
        promoted=bool(answer["promoted"]),
        result=answer,
    )
