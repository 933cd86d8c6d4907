"""Scores a labelled file that the installation does not hold, through the same contract and the same features."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

import pandas as pd

from plumbline.data.ingest import Admission, admit, require_tolerable
from plumbline.data.mapping.load import load_mapping, open_file
from plumbline.data.mapping.rows import RowMapper
from plumbline.errors import MissingInputError
from plumbline.features.schema import FeatureSpec
from plumbline.model.duplicates import near_duplicate_groups
from plumbline.model.split import SEEN_BEFORE
from plumbline.settings import Settings

_SNAPSHOT_ID: Final = "external-file"


@dataclass(frozen=True)
class ExternalRows:
    """A file's labelled rows with their features."""

    rows: pd.DataFrame
    admission: Admission
    features: Literal["offline", "defaults", "none"]
    """`offline`: joined as of each posting's time. `defaults`: could not be computed. `none`: the model has none."""

    reason: str
    """Why the features are not `offline`; empty when they are."""


def read_file(settings: Settings, data: Path, mapping: Path) -> Admission:
    """Lets a file through the posting contract; nothing is stored.

    Raises:
        MissingInputError: A file is not there.
        MappingError: The mapping does not fit the file.
        ContractError: Too many rows break the contract.
    """
    parsed = load_mapping(mapping)
    source = open_file(data, parsed)
    mapper = RowMapper(parsed, source.columns, settings.data.default_label_delay_days)
    admission = admit(source, mapper, settings.data, collected=datetime.now(UTC))
    require_tolerable(admission, settings.data, None)
    return admission


def with_features(
    settings: Settings, admission: Admission, log: pd.DataFrame | None, specs: Sequence[FeatureSpec]
) -> ExternalRows:
    """Adds features and marks repeats.

    The file's rows join the posting log as they arrive: a view's row holds what was known at its time, of earlier
    rows of the file too, and a label counts from its arrival on.

    Args:
        settings: Where the package with the feature definitions is named.
        admission: The file's rows.
        log: Postings known beforehand, or None. Rows that the file holds too are taken from the file.
        specs: Features that the model reads.

    Raises:
        MissingInputError: No row of the file has a label.
        SettingsError: `features.repo_module` names no package of features.
    """
    postings = admission.postings
    labelled = postings[postings["label"].notna()].reset_index(drop=True)
    if labelled.empty:
        raise MissingInputError("No admitted row of the file has a label. Map the column that holds it to `label`.")
    whole = postings
    if log is not None:
        whole = pd.concat([log[~log["posting_id"].isin(postings["posting_id"])], postings], ignore_index=True)
    marked = labelled.assign(**{SEEN_BEFORE: _seen_before(whole, labelled, settings)})
    if not specs:
        return ExternalRows(marked, admission, "none", "the model reads no structured features")
    try:
        features = _historical(settings, whole, labelled)
    except ImportError as error:
        reason = f"{error}; install plumbline with its `features` extra"
        return ExternalRows(marked, admission, "defaults", reason)
    missing = [spec.name for spec in specs if spec.name not in features.columns]
    joined = features.assign(**{SEEN_BEFORE: marked[SEEN_BEFORE]})
    reason = f"the feature service lacks {', '.join(missing)}" if missing else ""
    return ExternalRows(joined, admission, "defaults" if missing else "offline", reason)


def _historical(settings: Settings, log: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Features from views that are built over `log` in a folder of their own; the installation's stay as they are."""
    from plumbline.features.offline import historical_features
    from plumbline.features.repo import feature_repo

    repo = feature_repo(settings)
    with tempfile.TemporaryDirectory(prefix="plumbline-evaluate-") as folder:
        apart = {"registry_url": None, "online_store": None, "views_dir": None}
        scratch = settings.model_copy(
            update={
                "home": Path(folder),
                "features": settings.features.model_copy(update=apart),
                # In the bucket lie the views that everyone reads; these are nobody else's.
                "store": settings.store.model_copy(update={"bucket": None}),
            }
        )
        repo.apply(scratch)
        repo.build_views(scratch, log, snapshot_id=_SNAPSHOT_ID)
        return historical_features(scratch, rows)


def _seen_before(log: pd.DataFrame, rows: pd.DataFrame, settings: Settings) -> list[bool]:
    """Whether an earlier posting of the log is a near-duplicate, for each row."""
    groups = near_duplicate_groups(
        log["description"].fillna("").astype(str).tolist(),
        similarity=settings.model.duplicate_similarity,
        seed=settings.model.seed,
    )
    table = pd.DataFrame({"group": groups, "time": log["event_timestamp"].to_numpy()}, index=log["posting_id"])
    own = table.loc[rows["posting_id"]]
    first = table.groupby("group")["time"].min()
    seen: list[bool] = (own["time"].to_numpy() > first.loc[own["group"]].to_numpy()).tolist()
    return seen


def figures(external: ExternalRows, summary: dict[str, Any]) -> dict[str, Any]:
    """The evaluation's summary with what happened at the door, JSON-able."""
    admission = external.admission
    return {
        **summary,
        "rows": {
            "read": admission.rows_read,
            "admitted": len(admission.postings),
            "quarantined": len(admission.quarantine),
            "labelled": len(external.rows),
        },
        "quarantine_reasons": dict(admission.quarantine.reasons.most_common()),
        "masked": admission.masked,
        "new_columns": list(admission.schema_diff.new),
        "features": external.features,
        "features_reason": external.reason,
    }
