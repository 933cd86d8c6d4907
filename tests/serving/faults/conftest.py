"""What the faults are done to: an installation with features and two versions of a trained model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
from serving_champion import add_version, install

from plumbline.data.contract import REQUEST_COLUMNS
from plumbline.data.snapshot import SnapshotStore
from plumbline.settings import Settings, load_settings
from plumbline.storage import open_store


@dataclass(frozen=True)
class Installation:
    """A home that can be served.

    Attributes:
        settings: Its settings, all embedded.
        as_of: Instant that features were materialised for.
        posting: A posting that has features.
        versions: Of the model; the first one is the champion.
    """

    settings: Settings
    as_of: datetime
    posting: Mapping[str, Any]
    versions: tuple[str, str]


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    settings = load_settings(home=tmp_path_factory.mktemp("faults") / "home")
    snapshot, as_of = install(settings, rows=600)
    second = add_version(settings, snapshot, as_of, seed=2)
    first = add_version(settings, snapshot, as_of, seed=1)
    frame = SnapshotStore(open_store(settings)).read(snapshot)
    row = frame[frame["event_timestamp"] >= as_of].iloc[0]
    posting = {name: row[name] for name in REQUEST_COLUMNS if row[name] is not None and row[name] == row[name]}
    posting["event_timestamp"] = row["event_timestamp"].isoformat()
    return Installation(settings, as_of, posting, (first, second))
