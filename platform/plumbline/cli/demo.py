"""`plumbline demo`: the whole line, end to end, on the generator or on your own postings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plumbline.cli.extras import require_extra
from plumbline.cli.output import JsonOption, print_json, progress_console
from plumbline.settings import load_settings


def demo(
    data: Annotated[Path | None, typer.Option(help="File of real postings (CSV, JSONL or Parquet).")] = None,
    mapping: Annotated[Path | None, typer.Option(help="Mapping file: which column feeds which field.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the report and the steps' logs.")] = Path("build/demo"),
    rows: Annotated[int, typer.Option(help="Postings to generate.", min=1_000)] = 12_000,
    weeks: Annotated[int, typer.Option(help="Weeks that they are spread over.", min=8)] = 26,
    seed: Annotated[int, typer.Option(help="Seed of the generator and the drift scenario.")] = 7,
    scenario: Annotated[str, typer.Option(help="Drift scenario; see `plumbline data scenarios`.")] = "vocabulary_shift",
    load_rate: Annotated[float, typer.Option(help="Open-loop load, postings per second.", min=1)] = 100.0,
    load_seconds: Annotated[float, typer.Option(help="Seconds that the load lasts.", min=1)] = 20.0,
    parity_pairs: Annotated[int, typer.Option(help="Pairs to compare offline and online features on.", min=1)] = 1_200,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the last run on this home ended.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Runs the whole line: postings, features, training, serving, monitoring, the loop, the report."""
    require_extra("demo", "demo")
    from plumbline.demo.options import DemoOptions
    from plumbline.demo.run import run_demo

    options = DemoOptions(
        out=out,
        data=data,
        mapping=mapping,
        rows=rows,
        weeks=weeks,
        seed=seed,
        scenario=scenario,
        load_rate=load_rate,
        load_seconds=load_seconds,
        parity_pairs=parity_pairs,
    )
    figures = run_demo(options, load_settings(), resume=resume)
    if as_json:
        print_json(figures)
    else:
        progress_console.print(
            f"\nDone in {figures['seconds_total']:.0f} s, at most {figures['peak_rss_mb'] / 1024:.1f} GiB. "
            f"Open {out / 'report.html'}; every figure is in {out / 'report.json'}.",
            soft_wrap=True,
        )
