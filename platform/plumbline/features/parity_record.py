"""What the parity gate found on a snapshot, kept where every pod reads it: nobody hands a share over.

Each measurement is `features/parity/<snapshot>/<service>/<time>-<definition>.json` and stays; `newest.json` beside
them repeats the last one, and is what training reads.
"""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, ValidationError

from plumbline.errors import IntegrityError
from plumbline.settings import Settings
from plumbline.storage import open_store

_ROOT = "features/parity"
_NEWEST = "newest.json"


class ParityRecord(BaseModel):
    """One measurement."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    """The object that holds it."""
    snapshot_id: str
    service: str
    definition: str
    """Digest of what the service consisted of (`plumbline.features.definition`)."""
    measured_at: datetime
    command: str
    """What measured it, such as `plumbline features parity`."""
    version: str
    """Plumbline's."""
    seed: int
    """Of the draw of pairs."""
    views_until: datetime
    """What the views were computed up to."""
    served_until: datetime | None
    """What the serving store had been brought up to; None where it was not compared, because it was empty."""
    checked: int
    """(entity, time) pairs that were compared."""
    matched: int
    served: int
    """Pairs for which some view had a row to serve."""
    expired: int
    missing: int
    share: float
    """matched / checked."""


def keep_parity(settings: Settings, record: ParityRecord) -> None:
    """Writes a measurement, then makes it the one that training reads.

    Raises:
        DependencyError: The object store did not take it.
    """
    content = record.model_dump_json(indent=2).encode()
    objects = open_store(settings)
    objects.put(record.key, content)
    objects.put(f"{record.key.rpartition('/')[0]}/{_NEWEST}", content)


def parity_key(snapshot_id: str, service: str, definition: str, measured_at: datetime) -> str:
    """Where a measurement lies."""
    return f"{_ROOT}/{snapshot_id}/{service}/{measured_at.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}-{definition[:12]}.json"


def newest_parity(settings: Settings, snapshot_id: str, service: str) -> ParityRecord | None:
    """The last measurement of a service on a snapshot; None where there is none.

    Raises:
        DependencyError: The object store did not answer.
        IntegrityError: The record is not one.
    """
    objects = open_store(settings)
    key = f"{_ROOT}/{snapshot_id}/{service}/{_NEWEST}"
    if not objects.exists(key):
        return None
    try:
        return ParityRecord.model_validate_json(objects.get(key))
    except ValidationError as error:
        raise IntegrityError(
            f"{key} is no record of parity. Measure it again with `plumbline features parity --snapshot {snapshot_id}`."
        ) from error


def objections(
    record: ParityRecord | None,
    *,
    snapshot_id: str,
    service: str,
    definition: str | None,
    as_of: str,
    min_pairs: int,
) -> list[str]:
    """Why a model of a snapshot may not go in for its features' sake; empty when it may.

    Args:
        record: The last measurement of the service on the snapshot.
        snapshot_id: What the model was trained on.
        service: The feature service that it was trained with.
        definition: What the service consisted of then; None asks about the measurement alone.
        as_of: The instant that the model stands at, for the command that is named.
        min_pairs: Fewer pairs say too little.
    """
    measure = f"`plumbline features prepare --snapshot {snapshot_id} --as-of {as_of}` measures it."
    if record is None:
        return [f"Feature parity of {service} was not measured on this snapshot. {measure}"]
    when = f"{record.measured_at.isoformat(timespec='seconds')} by `{record.command}`"
    if definition is not None and record.definition != definition:
        return [f"Feature parity was measured at {when} for another definition of {service}. {measure}"]
    found = []
    if record.matched != record.checked:
        found.append(
            f"Offline and online features agree on {record.share:.2%} of the {record.checked:,} pairs compared at "
            f"{when}; all must agree. `plumbline features materialize --full --as-of {as_of}` writes the online store "
            f"anew; {measure}"
        )
    elif not record.served:
        found.append(f"None of the pairs compared at {when} had a feature row, so their agreement says nothing.")
    if record.checked < min_pairs:
        found.append(
            f"Feature parity was measured on {record.checked:,} pairs at {when}; {min_pairs:,} are needed "
            f"(pipelines.gate.min_parity_pairs). {measure}"
        )
    return found
