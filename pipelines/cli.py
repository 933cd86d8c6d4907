"""Runs, compiles and submits pipelines."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.parameters import overrides_of, parity_share
from plumbline.cli.output import JsonOption, print_json, print_result, print_rows, progress_console
from plumbline.errors import UserError
from plumbline.settings import Settings, load_settings

app = typer.Typer(help="Runs, compiles and submits pipelines.")

PipelineArgument = Annotated[str, typer.Argument(help="Name of the pipeline; `plumbline pipeline list` shows them.")]
SnapshotOption = Annotated[str, typer.Option(help="Snapshot: id, beginning of an id, or `latest`.")]
AsOfOption = Annotated[str | None, typer.Option(help="Instant whose knowledge is used, ISO 8601; now by default.")]
ParityOption = Annotated[float | None, typer.Option(help="Share of equal feature pairs, 0..1.", min=0, max=1)]
ParityFileOption = Annotated[Path | None, typer.Option(help="JSON that `plumbline features parity` has printed.")]
ReasonOption = Annotated[str, typer.Option(help="Why this run is started; goes to MLflow and the audit log.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="Setting for this run only, as in --set model.seed=7; repeatable.")
]
NoPromoteOption = Annotated[
    bool, typer.Option("--no-promote", help="A passed gate makes the version challenger; promote it by hand.")
]


@app.command("run")
def run(
    pipeline: PipelineArgument,
    snapshot: SnapshotOption = "latest",
    as_of: AsOfOption = None,
    parity: ParityOption = None,
    parity_report: ParityFileOption = None,
    reason: ReasonOption = "Started by hand.",
    set_: SetOption = None,
    no_promote: NoPromoteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Runs a pipeline on this machine."""
    settings = load_settings()
    arguments = _arguments(snapshot, as_of, parity, parity_report, reason, set_, no_promote)
    if arguments["parity"] < 0:
        progress_console.print(
            "Feature parity is not given: the model will be trained, and the gate will keep it out. "
            "Measure it with `plumbline features parity --json` and pass --parity-report."
        )
    from pipelines.catalogue import pipeline_named
    from pipelines.local import run_locally

    definition = pipeline_named(pipeline, settings)
    with progress_console.status(pipeline) as status:
        done = run_locally(
            definition,
            arguments,
            settings,
            on_start=lambda step: status.update(f"{step} ..."),
            on_end=lambda step, seconds: progress_console.print(f"  {step}: {seconds:.1f} s"),
        )
    result: dict[str, Any] = {
        "pipeline": pipeline,
        **json.loads(done.outputs["Output"]),
        "seconds": done.seconds,
        "folder": str(done.folder),
    }
    if as_json:
        print_json(result)
    else:
        print_result(_headline(result), as_json=False, title=f"Pipeline {pipeline}")


@app.command("compile")
def compile_(
    out: Annotated[Path, typer.Option(help="Folder for the compiled files.")] = Path("build/pipelines"),
    as_json: JsonOption = False,
) -> None:
    """Compiles every pipeline for a cluster."""
    from pipelines.compiling import compile_all

    files = compile_all(load_settings(), out)
    print_rows([{"pipeline": file.stem, "file": str(file)} for file in files], as_json=as_json, title="Compiled")


@app.command("submit")
def submit(
    pipeline: PipelineArgument,
    host: Annotated[str | None, typer.Option(help="Address of the KFP API server; else the setting.")] = None,
    snapshot: SnapshotOption = "latest",
    as_of: AsOfOption = None,
    parity: ParityOption = None,
    parity_report: ParityFileOption = None,
    reason: ReasonOption = "Submitted by hand.",
    set_: SetOption = None,
    no_promote: NoPromoteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Sends a pipeline to a cluster."""
    settings = load_settings()
    address = host or settings.pipelines.host
    if address is None:
        raise UserError("Name the KFP API server with --host or PLUMBLINE_PIPELINES__HOST.")
    arguments = _arguments(snapshot, as_of, parity, parity_report, reason, set_, no_promote)
    from pipelines.submit import submit as send

    done = send(pipeline, arguments, settings, host=address, experiment=settings.tracking.experiment)
    result = {"pipeline": pipeline, "image": settings.pipelines.image, "arguments": arguments, **vars(done)}
    print_result(result, as_json=as_json, title=f"Submitted {pipeline}")


@app.command("list")
def list_(as_json: JsonOption = False) -> None:
    """Lists the pipelines and the runs that MLflow knows."""
    settings = load_settings()
    from pipelines.catalogue import PIPELINES

    runs = _runs(settings)
    if as_json:
        print_json({"pipelines": list(PIPELINES), "runs": runs})
        return
    print_rows([{"pipeline": name} for name in PIPELINES], as_json=False, title="Pipelines")
    print_rows(list(runs), as_json=False, title="Runs")


def _runs(settings: Settings) -> list[dict[str, Any]]:
    if settings.tracking.uri is None and not settings.home.is_dir():
        return []
    from plumbline.registry.runs import pipeline_runs

    return pipeline_runs(settings)


def _arguments(
    snapshot: str,
    as_of: str | None,
    parity: float | None,
    parity_report: Path | None,
    reason: str,
    assignments: list[str] | None,
    no_promote: bool,
) -> dict[str, Any]:
    """The pipeline's parameters: text and numbers only, as KFP takes them."""
    overrides = overrides_of([*(assignments or []), *(["pipelines.require_approval=true"] if no_promote else [])])
    load_settings(**overrides)  # a wrong setting is told here, not by the first step
    share = parity_share(parity, parity_report)
    return {
        "snapshot": snapshot,
        "as_of": _instant(as_of),
        "parity": -1.0 if share is None else share,
        "reason": reason,
        "overrides": json.dumps(overrides),
    }


def _instant(text: str | None) -> str:
    if text is None:
        return datetime.now(UTC).isoformat()
    from plumbline.registry.steps.context import instant

    return instant(text).isoformat()


def _headline(result: dict[str, Any]) -> dict[str, Any]:
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
