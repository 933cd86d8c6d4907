"""The reference of a model version: what the model was trained on, and how it answered what it had not seen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from plumbline.data.known import known_at
from plumbline.data.snapshot import SnapshotStore
from plumbline.errors import IntegrityError, MissingInputError

if TYPE_CHECKING:
    from plumbline.registry.models import LoadedModel

_FITTED = "train"


@dataclass(frozen=True)
class Reference:
    """What windows are compared with.

    Attributes:
        frame: Postings of the training period with `label`; `prediction` and `probability` where the model had
            not been fitted on the posting, else null.
        end: End of the training period, UTC.
        version: Model version.
        path: Folder of the model.
    """

    frame: pd.DataFrame
    end: datetime
    version: str
    path: Path


def load_reference(loaded: LoadedModel, snapshots: SnapshotStore, *, snapshot_tag: str, as_of_tag: str) -> Reference:
    """Puts the reference together: the rows logged with the model hold its answers, the snapshot that the version
    names holds the whole training period, which is needed to learn how much ordinary weeks differ.

    Where the snapshot is gone, the logged rows alone are the reference.

    Args:
        loaded: The model version.
        snapshots: Store of the postings.
        snapshot_tag: Tag of the version that names its snapshot.
        as_of_tag: Tag of the version that names the end of its training period.

    Raises:
        MissingInputError: The version was registered without a reference.
        IntegrityError: The reference lacks columns.
    """
    if loaded.reference is None:
        raise MissingInputError(
            f"Model version {loaded.version} was registered without a reference; monitors have nothing to compare "
            "with. Register it through the training pipeline."
        )
    logged = pd.read_parquet(loaded.reference)
    missing = {"posting_id", "event_timestamp", "prediction", "probability", "label"} - set(logged.columns)
    if missing:
        raise IntegrityError(f"{loaded.reference} lacks {', '.join(sorted(missing))}. Train the model again.")
    if "part" in logged:
        fitted = logged["part"] == _FITTED
        logged["prediction"] = logged["prediction"].astype(object).where(~fitted, None)
        logged["probability"] = logged["probability"].where(~fitted)
    end = _end(loaded, logged, as_of_tag)
    return Reference(_whole_period(loaded, logged, snapshots, snapshot_tag, end), end, loaded.version, loaded.path)


def _end(loaded: LoadedModel, logged: pd.DataFrame, tag: str) -> datetime:
    text = loaded.tags.get(tag)
    if text:
        return datetime.fromisoformat(text)
    last: pd.Timestamp = logged["event_timestamp"].max()
    return (last + pd.Timedelta(microseconds=1)).to_pydatetime()


def _whole_period(
    loaded: LoadedModel, logged: pd.DataFrame, snapshots: SnapshotStore, tag: str, end: datetime
) -> pd.DataFrame:
    name = loaded.tags.get(tag)
    if not name:
        return logged
    try:
        postings = snapshots.read(name)
    except MissingInputError:
        return logged
    frame = known_at(postings, end).reset_index(drop=True)
    answers = logged.drop_duplicates("posting_id").set_index("posting_id")
    for column in ("prediction", "probability"):
        frame[column] = frame["posting_id"].map(answers[column])
    return frame
