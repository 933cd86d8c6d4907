"""Options that the commands for pipelines share, and what becomes of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.parameters import overrides_of, parity_share
from plumbline.features.instants import instant_of
from plumbline.settings import load_settings

PipelineArgument = Annotated[str, typer.Argument(help="Name of the pipeline; `plumbline pipeline list` shows them.")]
SnapshotOption = Annotated[str, typer.Option(help="Snapshot: id, beginning of an id, or `latest`.")]
AsOfOption = Annotated[
    str, typer.Option(help="Instant whose knowledge is used: ISO 8601, `now`, or `latest`: after the last posting.")
]
ParityOption = Annotated[float | None, typer.Option(help="Share of equal feature pairs, 0..1.", min=0, max=1)]
ParityFileOption = Annotated[Path | None, typer.Option(help="JSON that `plumbline features parity` has printed.")]
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
    parity: float | None,
    parity_report: Path | None,
    reason: str,
    assignments: list[str] | None,
    no_promote: bool,
) -> dict[str, Any]:
    """The pipeline's parameters: text and numbers only, as KFP takes them.

    Raises:
        UserError: A setting, the instant or the parity cannot be used.
    """
    overrides = overrides_of([*(assignments or []), *(["pipelines.require_approval=true"] if no_promote else [])])
    load_settings(**overrides)  # a wrong setting is told here, not by the first step
    share = parity_share(parity, parity_report)
    return {
        "snapshot": snapshot,
        "as_of": instant_of(as_of, load_settings(), snapshot=snapshot).isoformat(),
        "parity": -1.0 if share is None else share,
        "reason": reason,
        "overrides": json.dumps(overrides),
    }


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
