"""`plumbline serve tune`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plumbline.cli.output import JsonOption, print_json, print_result, print_rows, progress_console
from plumbline.settings import config_path, load_settings


def tune(
    budget_ms: Annotated[float | None, typer.Option(help="Latency budget; default: the endpoint's setting.")] = None,
    version: Annotated[str | None, typer.Option(help="Version or alias; default: what is served.")] = None,
    snapshot: Annotated[str, typer.Option(help="Snapshot whose postings are measured.")] = "latest",
    margin_ms: Annotated[float, typer.Option(help="Kept for parsing, the log and the socket.", min=0)] = 5.0,
    seconds: Annotated[float, typer.Option(help="Of measuring, per batch size.", min=0)] = 3.0,
    out: Annotated[Path | None, typer.Option(help="YAML file to write; default: the one of PLUMBLINE_CONFIG.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Also draw the table to this file (.png, .svg).")] = None,
    as_json: JsonOption = False,
) -> None:
    """Finds the largest batch inside the latency budget on this machine's device, and writes it to the settings."""
    from serving.tuning.measure import BatchTimes
    from serving.tuning.picture import draw
    from serving.tuning.run import TunePlan
    from serving.tuning.run import tune as run_plan

    settings = load_settings()
    plan = TunePlan(
        version=version,
        snapshot=snapshot,
        budget_ms=budget_ms if budget_ms is not None else settings.serving.latency_budget_ms,
        margin_ms=margin_ms,
        seconds=seconds,
        out=out or config_path(),
    )

    def progress(times: BatchTimes) -> None:
        progress_console.print(f"  batches of {times.batch_size}: p99 {times.p99_ms:.2f} ms")

    result = run_plan(settings, plan, progress=progress)
    if result["busy"]:
        progress_console.print(
            "  other work held the measuring up: these times are the machine's, not the model's. Measure on an idle one"
        )
    if picture is not None:
        draw(result, picture)
    if result["file"] is None:
        progress_console.print("  nothing written: name a file with --out, or in PLUMBLINE_CONFIG")
    elif result["diff"]:
        progress_console.print(result["diff"], markup=False, end="", soft_wrap=True)
    else:
        progress_console.print(f"  {result['file']} says so already")
    if as_json:
        print_json(result)
        return
    shown = ("batch_size", "p50_ms", "p99_ms", "postings_per_second", "repeats", "fits")
    print_rows([{name: row[name] for name in shown} for row in result["batches"]], as_json=False, title="Batches")
    rest = {name: value for name, value in result.items() if name not in {"batches", "diff"}}
    print_result(rest, as_json=False, title="Largest batch inside the budget")
