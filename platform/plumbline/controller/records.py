"""What the controller keeps of a retraining, and the states that it goes through."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

State = Literal[
    "queued",
    "running",
    "awaiting_approval",
    "releasing",
    "promoted",
    "rejected",
    "rolled_back",
    "failed",
    "cancelled",
]
OPEN: tuple[State, ...] = ("queued", "running", "awaiting_approval", "releasing")
FINAL: tuple[State, ...] = ("promoted", "rejected", "rolled_back", "failed", "cancelled")

CANCELLING = "being cancelled"
"""Step of a cancelled retraining whose process or Job may still run."""


@dataclass(frozen=True)
class Retraining:
    """One answer to an alert, or to a person's wish.

    Attributes:
        id: Number, from 1.
        model: Registered model that is retrained.
        fingerprint: The alert that asked for it; empty where a person did.
        reason: The alert's summary, or the person's.
        snapshot: Postings to train on.
        as_of: What is known at this instant is trained on, UTC.
        state: Where it stands; those of `FINAL` are final.
        step: What is being done, or was done last.
        attempts: Tries that count so far. One that an orderly stop of the controller cut off does not.
        created_at: When it was asked for.
        started_at: When the last try began.
        ended_at: When it came to its final state.
        not_before: It waits until this instant.
        gate_verdict: `promote`, `review` or `reject`, once the gate has decided.
        model_version: The version that came out.
        run_id: MLflow run of the training.
        error: Why the last try failed, or who cancelled it and why.
        log: File with what the last try's commands said.
        result: What the pipeline answered.
        child_pid: Process of the try that runs, or ran when the controller was stopped.
        child_started: When that process was started (seconds since 1970): process ids are used again.
        job: Kubernetes Job of the try's latest step.
        crashes: Controllers that were killed during the present try, where a try outlives its controller.
    """

    id: int
    model: str
    fingerprint: str
    reason: str
    snapshot: str
    as_of: datetime
    state: State
    step: str
    attempts: int
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    not_before: datetime | None
    gate_verdict: str | None
    model_version: str | None
    run_id: str | None
    error: str | None
    log: str | None
    result: dict[str, Any] | None
    child_pid: int | None
    child_started: float | None
    job: str | None = None
    crashes: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain form, times as ISO 8601 text."""
        return {
            name: value.isoformat() if isinstance(value, datetime) else value for name, value in asdict(self).items()
        }
