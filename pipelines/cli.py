"""Runs, compiles and lists pipelines; the commands for a cluster are in `cli_cluster`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines import cli_cluster
from pipelines.options import (
    AsOfOption,
    NoPromoteOption,
    PipelineArgument,
    ReasonOption,
    SetOption,
    SnapshotOption,
    headline,
    parity_notice,
    pipeline_arguments,
)
from plumbline.cli.output import JsonOption, examples, print_json, print_result, print_rows, progress_console, step
from plumbline.settings import Settings, load_settings

app = typer.Typer(help="Runs, compiles and submits pipelines.")


@app.command(
    "run",
    epilog=examples(
        "plumbline pipeline run training --as-of latest",
        "plumbline pipeline run training --set model.epochs=12 --no-promote",
    ),
)
def run(
    pipeline: PipelineArgument,
    snapshot: SnapshotOption = "latest",
    as_of: AsOfOption = "now",
    reason: ReasonOption = "Started by hand.",
    set_: SetOption = None,
    no_promote: NoPromoteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Runs a pipeline on this machine."""
    settings = load_settings()
    arguments = pipeline_arguments(snapshot, as_of, reason, set_, no_promote)
    if notice := parity_notice(settings, arguments):
        progress_console.print(notice)
    from pipelines.catalogue import pipeline_named
    from pipelines.local import run_locally

    definition = pipeline_named(pipeline, settings)
    with step(f"Pipeline {pipeline}") as running:
        done = run_locally(
            definition,
            arguments,
            settings,
            on_start=running.now,
            on_end=lambda name, seconds: progress_console.print(f"  {name}: {seconds:.1f} s"),
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
        print_result(headline(result), as_json=False, title=f"Pipeline {pipeline}")


@app.command("compile", epilog=examples("plumbline pipeline compile --out build/pipelines"))
def compile_(
    out: Annotated[Path, typer.Option(help="Folder for the compiled files.")] = Path("build/pipelines"),
    as_json: JsonOption = False,
) -> None:
    """Compiles every pipeline for a cluster."""
    from pipelines.compiling import compile_all

    files = compile_all(load_settings(), out)
    print_rows([{"pipeline": file.stem, "file": str(file)} for file in files], as_json=as_json, title="Compiled")


@app.command("list", epilog=examples("plumbline pipeline list"))
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


cli_cluster.add_to(app)
