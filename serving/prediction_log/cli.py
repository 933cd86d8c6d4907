"""`plumbline serve log`: counts the prediction log, ships it by hand, deletes what is old."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from plumbline.cli.output import JsonOption, examples, print_result, step
from plumbline.errors import MissingInputError
from plumbline.instants import parse_instant
from plumbline.settings import load_settings

log_app = typer.Typer(rich_markup_mode=None, help="The prediction log: counts, shipping, retention.")

_Since = Annotated[datetime | None, typer.Option(parser=parse_instant, help="Only records from this instant on.")]
_Until = Annotated[datetime | None, typer.Option(parser=parse_instant, help="Only records before this instant.")]


@log_app.callback(invoke_without_command=True)
def log(context: typer.Context, since: _Since = None, until: _Until = None, as_json: JsonOption = False) -> None:
    """Counts the prediction log: by version and role, degraded, left out, not shipped yet."""
    if context.invoked_subcommand is not None:
        return
    from serving.prediction_log.counting import count

    with step("reading the prediction log"):
        result = count(load_settings(), since=since, until=until)
    print_result(result, as_json=as_json, title="Prediction log")


@log_app.command("ship", epilog=examples("plumbline serve log ship"))
def ship(
    spool: Annotated[
        Path | None, typer.Option(help="Folder of another spool, such as a dead pod's; default: this machine's.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Ships every complete segment of a spool to the object store, now.

    Name another spool only once its pod is gone: the lock of a process on another machine is not always seen here.
    """
    from serving.prediction_log.segments import spool_dir, spool_size
    from serving.prediction_log.shipping import ship as ship_spool

    settings = load_settings()
    folder = spool or spool_dir(settings)
    if spool is not None and not spool.is_dir():
        raise MissingInputError(f"{spool} is not a folder. Name the folder that holds the segments (*.jsonl).")
    with step(f"shipping {folder}"):
        shipped = ship_spool(settings, spool=folder)
    left, _ = spool_size(folder)
    print_result({**asdict(shipped), "segments_left": left}, as_json=as_json, title="Shipped")


@log_app.command("prune", epilog=examples("plumbline serve log prune --dry-run"))
def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be deleted.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Deletes what is older than serving.log.retention_days from the object store; the audit log keeps account."""
    from serving.prediction_log.retention import prune as prune_log

    with step("looking for what is old"):
        pruned = prune_log(load_settings(), dry_run=dry_run)
    print_result(asdict(pruned), as_json=as_json, title="Would be deleted" if dry_run else "Deleted")
