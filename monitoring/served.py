"""What a monitor run is about: a model version with its reference, and a snapshot of postings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from monitoring.reference import Reference, load_reference
from plumbline.data.snapshot import SnapshotStore
from plumbline.features.collected import newest_event
from plumbline.settings import Settings
from plumbline.storage import open_store


@dataclass(frozen=True)
class Served:
    """A model version and the postings that it is watched on.

    Attributes:
        model: Name of the registered model.
        reference: What the version was trained on.
        snapshot_id: Whole id of the snapshot.
        postings: All its postings.
    """

    model: str
    reference: Reference
    snapshot_id: str
    postings: pd.DataFrame


def newest_posting(settings: Settings, snapshot: str) -> datetime:
    """Event time of a snapshot's newest posting; one that is later than its own collection does not count.

    Raises:
        MissingInputError: There is no such snapshot.
        ContractError: Every posting is later than its collection.
    """
    return newest_event(settings, snapshot)


def load_served(settings: Settings, *, alias_or_version: str, snapshot: str) -> Served:
    """Loads the version and the postings.

    Raises:
        MissingInputError: There is no such version or snapshot, or the version has no reference.
    """
    from plumbline.registry.models import TAG_AS_OF, TAG_SNAPSHOT, ModelRegistry

    snapshots = SnapshotStore(open_store(settings))
    snapshot_id = snapshots.resolve(snapshot)
    postings = snapshots.read(snapshot_id)
    registry = ModelRegistry(settings)
    loaded = registry.fetch(alias_or_version)
    reference = load_reference(loaded, snapshots, snapshot_tag=TAG_SNAPSHOT, as_of_tag=TAG_AS_OF)
    return Served(registry.name, reference, snapshot_id, postings)
