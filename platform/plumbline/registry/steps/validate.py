"""First step: opens the pipeline run, and refuses what cannot end well before anything slow starts."""

from __future__ import annotations

from dataclasses import dataclass

from plumbline import __version__
from plumbline.data.known import known_at
from plumbline.data.snapshot import SnapshotStore
from plumbline.errors import GateRefusedError, MissingInputError
from plumbline.features.instants import NOW, instant_of
from plumbline.features.parity_record import ParityRecord, newest_parity, objections
from plumbline.registry.models import TAG_AS_OF, TAG_SNAPSHOT
from plumbline.registry.runs import child_run, close_left_open, open_parent
from plumbline.registry.steps.context import step_settings
from plumbline.registry.steps.runner import end_with_runner
from plumbline.registry.submissions import TAG_SUBMISSION
from plumbline.settings import Settings
from plumbline.storage import open_store

PIPELINE = "training"


@dataclass(frozen=True)
class Validated:
    """What the following steps work on."""

    run_id: str
    """MLflow run of the pipeline run."""

    snapshot_id: str
    """Whole id of the snapshot."""

    as_of: str
    """ISO 8601 instant whose knowledge is used."""


def validate(*, snapshot: str, as_of: str, reason: str, overrides: str, submission: str = "") -> Validated:
    """Checks that there is enough to train on at `as_of`, and that the features were not found to differ.

    Args:
        snapshot: Id, beginning of an id, or `latest`.
        as_of: ISO 8601 instant, `now` or `latest`; empty is now, for runs that a schedule starts.
        reason: Why this run was started.
        overrides: JSON object of settings for this run.
        submission: Key that who has submitted the run finds it by.

    Raises:
        MissingInputError: There is no such snapshot, or too few labelled postings are known.
        GateRefusedError: Feature parity was measured on the snapshot, and is below 100%.
    """
    settings = step_settings(overrides)
    end_with_runner(settings)
    store = SnapshotStore(open_store(settings))
    snapshot_id = store.resolve(snapshot)
    at = instant_of(as_of or NOW, settings, snapshot=snapshot_id)
    if settings.profile == "local":
        close_left_open(settings)  # the local runner's lock is held: whatever is open was killed
    tags = {TAG_SNAPSHOT: snapshot_id, TAG_AS_OF: at.isoformat()}
    parent = open_parent(settings, PIPELINE, {**tags, TAG_SUBMISSION: submission} if submission else tags)
    parity = newest_parity(settings, snapshot_id, settings.features.service)
    parent.params(
        {
            "snapshot_id": snapshot_id,
            "as_of": at.isoformat(),
            "parity": "not measured" if parity is None else parity.share,
            "reason": reason,
            "code_version": __version__,
            "model": settings.model.model_dump(),
            "gate": settings.pipelines.gate.model_dump(),
        }
    )
    with child_run(settings, parent.run_id, "validate") as run:
        known = known_at(store.read(snapshot_id), at)
        labels = known["label"].dropna()
        run.metrics({"known": len(known), "labelled": len(labels), "classes": labels.nunique()})
        _require_labels(len(known), len(labels), labels.nunique(), at.isoformat(), settings)
        _require_parity(parity, snapshot_id, at.isoformat(), settings)
    return Validated(parent.run_id, snapshot_id, at.isoformat())


def _require_parity(parity: ParityRecord | None, snapshot_id: str, as_of: str, settings: Settings) -> None:
    """Stops where features differ. What was not measured may be trained on: the gate keeps the model out then."""
    if parity is None or parity.matched == parity.checked:
        return
    found = objections(
        parity,
        snapshot_id=snapshot_id,
        service=settings.features.service,
        definition=None,
        as_of=as_of,
        min_pairs=1,
    )
    raise GateRefusedError(" ".join(found))


def _require_labels(known: int, labelled: int, classes: int, as_of: str, settings: Settings) -> None:
    needed = 2 * settings.pipelines.gate.min_rows
    if labelled < needed or classes < 2:
        raise MissingInputError(
            f"At {as_of}, {known} postings and {labelled} labels of {classes} classes are known; "
            f"training needs at least {needed} labelled postings of 2 classes. Choose a later --as-of."
        )
