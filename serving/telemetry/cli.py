"""`plumbline serve budget`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plumbline.cli.output import JsonOption, print_json, print_text


def budget(
    spans: Annotated[Path, typer.Argument(help="What serving.telemetry.trace_file named while requests came.")],
    route: Annotated[str, typer.Option(help="Whose requests: classify or classify:batch.")] = "classify",
    as_json: JsonOption = False,
) -> None:
    """Says where requests spend their milliseconds: a table by stage, Markdown, from the spans of a run."""
    from serving.telemetry.budget_table import as_json as rows_as_json
    from serving.telemetry.budget_table import as_markdown, budget_table

    rows = budget_table(spans, route=route)
    if as_json:
        print_json({"stages": rows_as_json(rows)})
    else:
        print_text(as_markdown(rows))
