"""Settings of the loop."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from plumbline.settings.controller_access import ControllerAccessSettings


class ControllerSettings(BaseModel):
    """Settings of the loop."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    """Address that the alert webhook listens on."""

    port: int = 8090
    """Port that the alert webhook listens on."""

    access: ControllerAccessSettings = Field(default_factory=ControllerAccessSettings)
    """Who may reach it."""

    launcher: Literal["process", "kubernetes"] = "process"
    """What a retraining runs in: child processes of the controller, or Jobs of the controller's own namespace."""

    job_template: str | None = None
    """Suspended CronJob whose template the launcher `kubernetes` makes Jobs of; their arguments are the controller's.
    """

    namespace: str | None = None
    """Namespace of the Jobs; None is the pod's own, else the kubeconfig's."""

    job_poll_seconds: float = Field(default=2.0, gt=0)
    """How often a Job is looked at."""

    act_on: tuple[str, ...] = ("PostingDrift", "ModelQualityDrop")
    """Names of the alerts that a retraining answers; others are recorded."""

    cooldown_seconds: float = Field(default=3600.0, ge=0)
    """After a retraining has ended, alerts about the same model are recorded but start no other for so long."""

    label_wait_days: float = Field(default=7.0, ge=0)
    """The retraining knows what is known this many days after the alert's window: labels of the window arrive late.

    An alert may say otherwise in its annotation `as_of`.
    """

    wait_for_as_of: bool = False
    """Wait until the retraining's `as_of` has come. Off, a stream from the past is replayed without waiting."""

    require_approval: bool = False
    """A version that the gate agrees to waits for `plumbline controller approve ID`, or `reject ID`. One that the gate
    wants a person to look at (`review`) waits in any case."""

    release: Literal["direct", "canary"] = "direct"
    """How a version that the gate agrees to becomes the champion: at once, or as a canary that is promoted once it has
    done well (`serving.release`)."""

    release_poll_seconds: float = Field(default=10.0, gt=0)
    """How often a canary is judged; each look is a command of some seconds."""

    release_patience_seconds: float = Field(default=3600.0, gt=0)
    """A release that cannot be started or judged for so long (another one goes on, the registry is away) is given up:
    what is known of it then stays as it is."""

    training_settings: dict[str, str] = Field(default={"model.eval_days": "7", "model.calibration_days": "7"})
    """Settings that a retraining runs with. After drift the newest week judges and the week before it calibrates,
    so that the rows to learn from reach into what has moved."""

    max_attempts: int = Field(default=2, ge=1)
    """A retraining that failed, or whose controller was killed, is tried so many times in all. An orderly stop of the
    controller (SIGTERM, SIGINT) costs no try."""

    retry_pause_seconds: float = Field(default=5.0, ge=0)
    """Pause before a failed retraining is tried again."""

    training_patience_seconds: float = Field(default=600.0, gt=0)
    """A try is ended, and counts as failed, when for so long its processes have not worked and its log has told nothing
    new; in a Job, when its signs of life in the object store have not changed. It may take as long as it gets on."""

    parity_pairs: int = Field(default=1000, ge=1)
    """(entity, time) pairs compared between offline and online features before a retraining."""
