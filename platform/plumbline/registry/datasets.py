"""Names the data of a run in MLflow: the snapshot, the instant, and the rows that were used."""

from __future__ import annotations

import hashlib
import json
from urllib.parse import urlsplit

import pandas as pd

from plumbline.data.snapshot import Snapshot
from plumbline.registry.runs import Run

_DIGEST_CHARACTERS = 36  # MLflow takes no more
_ID_SHOWN = 8


def log_dataset(run: Run, rows: pd.DataFrame, snapshot: Snapshot, as_of: str, context: str) -> None:
    """Logs which rows of which snapshot a run used.

    The source is the snapshot's own object, so that `mlflow.data.get_source(dataset).load()` brings the postings.

    Args:
        run: The run.
        rows: Postings with their features.
        snapshot: The snapshot that they are from.
        as_of: Instant at which the rows were known.
        context: What they were used for, such as `training`.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag
    from mlflow.types import ColSpec, Schema

    schema = Schema([ColSpec(_kind(rows[name]), name) for name in rows.columns])
    scheme = urlsplit(snapshot.uri).scheme
    dataset = Dataset(
        name=dataset_name(snapshot),
        digest=row_digest(rows)[:_DIGEST_CHARACTERS],
        source_type="local" if scheme in ("", "file") else scheme,
        source=json.dumps({"uri": snapshot.uri}),
        schema=json.dumps({"mlflow_colspec": schema.to_dict()}),
        profile=json.dumps({"num_rows": len(rows)}),
    )
    tags = {
        "mlflow.data.context": context,
        "plumbline.rows": str(len(rows)),
        "plumbline.snapshot": snapshot.id,
        "plumbline.as_of": as_of,
    }
    inputs = [DatasetInput(dataset=dataset, tags=[InputTag(key, value) for key, value in tags.items()])]
    run.tracking.client.log_inputs(run.run_id, inputs)


def dataset_name(snapshot: Snapshot) -> str:
    """What a person calls the postings: their file and mapping or the generator, the scenario, the snapshot's id."""
    source = snapshot.source
    if source.get("kind") == "generator":
        name = "generated postings"
    else:
        name = " by ".join(str(source[key]) for key in ("file", "mapping") if source.get(key)) or "postings"
    if source.get("scenario"):
        name += f" with {source['scenario']}"
    return f"{name} ({snapshot.id[:_ID_SHOWN]})"


def row_digest(rows: pd.DataFrame) -> str:
    """SHA-256 over the ids of the rows, in no particular order: the same postings have the same digest."""
    return hashlib.sha256("\n".join(sorted(rows["posting_id"].astype(str))).encode()).hexdigest()


def _kind(column: pd.Series) -> str:
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return "datetime"
    return "double" if pd.api.types.is_numeric_dtype(column) else "string"
