"""Names the data of a run in MLflow: the snapshot, the instant, and the rows that were used."""

from __future__ import annotations

import hashlib
import json

import pandas as pd

from plumbline.registry.runs import Run

_DIGEST_CHARACTERS = 36  # MLflow takes no more


def log_dataset(run: Run, rows: pd.DataFrame, snapshot_id: str, as_of: str, context: str) -> None:
    """Logs which rows of which snapshot a run used.

    Args:
        run: The run.
        rows: Postings with their features.
        snapshot_id: Whole id of the snapshot; it is the data set's name and source.
        as_of: Instant at which the rows were known.
        context: What they were used for, such as `training`.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag
    from mlflow.types import ColSpec, Schema

    schema = Schema([ColSpec(_kind(rows[name]), name) for name in rows.columns])
    dataset = Dataset(
        name=f"snapshot-{snapshot_id[:12]}",
        digest=row_digest(rows)[:_DIGEST_CHARACTERS],
        source_type="code",
        source=json.dumps({"tags": {"plumbline.snapshot": snapshot_id, "plumbline.as_of": as_of}}),
        schema=json.dumps({"mlflow_colspec": schema.to_dict()}),
        profile=json.dumps({"num_rows": len(rows)}),
    )
    tags = [InputTag("mlflow.data.context", context), InputTag("plumbline.rows", str(len(rows)))]
    run.tracking.client.log_inputs(run.run_id, [DatasetInput(dataset=dataset, tags=tags)])


def row_digest(rows: pd.DataFrame) -> str:
    """SHA-256 over the ids of the rows, in no particular order: the same postings have the same digest."""
    return hashlib.sha256("\n".join(sorted(rows["posting_id"].astype(str))).encode()).hexdigest()


def _kind(column: pd.Series) -> str:
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return "datetime"
    return "double" if pd.api.types.is_numeric_dtype(column) else "string"
