"""Options that the commands for pipelines share, and what becomes of them."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from pipelines.parameters import overrides_of
from plumbline.errors import MissingInputError
from plumbline.features.instants import instant_of
from plumbline.settings import Settings, load_settings

PipelineArgument = Annotated[str, typer.Argument(help="Name of the pipeline; `plumbline pipeline list` shows them.")]
SnapshotOption = Annotated[str, typer.Option(help="Snapshot: id, beginning of an id, or `latest`.")]
AsOfOption = Annotated[
    str, typer.Option(help="Instant whose knowledge is used: ISO 8601, `now`, or `latest`: after the last posting.")
]
ReasonOption = Annotated[str, typer.Option(help="Why this run is started; goes to MLflow and the audit log.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="Setting for this run only, as in --set model.seed=7; repeatable.")
]
NoPromoteOption = Annotated[
    bool, typer.Option("--no-promote", help="A passed gate makes the version challenger; promote it by hand.")
]


def pipeline_arguments(
    snapshot: str,
    as_of: str,
    reason: str,
    assignments: list[str] | None,
    no_promote: bool,
) -> dict[str, Any]:
    """The pipeline's parameters: text and numbers only, as KFP takes them.

    Raises:
        UserError: A setting or the instant cannot be used.
    """
    overrides = overrides_of([*(assignments or []), *(["pipelines.require_approval=true"] if no_promote else [])])
    load_settings(**overrides)  # a wrong setting is told here, not by the first step
    return {
        "snapshot": snapshot,
        "as_of": instant_of(as_of, load_settings(), snapshot=snapshot).isoformat(),
        "reason": reason,
        "overrides": json.dumps(overrides),
    }


def parity_notice(settings: Settings, arguments: dict[str, Any]) -> str | None:
    """What to say before a training whose features nobody has compared; None where there is nothing to say."""
    from plumbline.data.snapshot import SnapshotStore
    from plumbline.features.parity_record import newest_parity, objections
    from plumbline.storage import open_store

    try:
        snapshot_id = SnapshotStore(open_store(settings)).resolve(arguments["snapshot"])
    except MissingInputError:
        return None  # the first step says so, wherever it runs
    service = settings.features.service
    found = objections(
        newest_parity(settings, snapshot_id, service),
        snapshot_id=snapshot_id,
        service=service,
        definition=None,
        as_of=arguments["as_of"],
        min_pairs=settings.pipelines.gate.min_parity_pairs,
    )
    return f"{' '.join(found)} Until then the gate keeps every model of this snapshot out." if found else None


def headline(result: dict[str, Any]) -> dict[str, Any]:
    """What a person wants to see of a training's result."""
    metrics = result["metrics"]
    return {
        "model version": result["model_version"],
        "promoted": result["promoted"],
        "accuracy": metrics["accuracy"],
        "macro-F1": metrics["macro_f1"],
        "evaluated on": metrics["n"],
        "gate": result["gate"]["verdict"],
        "because": " ".join(result["gate"]["reasons"]),
        "MLflow run": result["run_id"],
        "files": result["folder"],
    }
