"""`plumbline controller`: the loop's process, what it knows, and what a person decides about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from plumbline.cli.output import (
    JsonOption,
    ReasonOption,
    examples,
    print_json,
    print_result,
    print_rows,
    progress_console,
)
from plumbline.settings import Settings, load_settings

if TYPE_CHECKING:
    from plumbline.controller.decisions import Decisions
    from plumbline.controller.records import Retraining

app = typer.Typer(no_args_is_help=True, help="Takes alerts, retrains, records what came of it.")

_SHOWN = ("id", "state", "step", "attempts", "as_of", "gate_verdict", "model_version", "error")

NumberArgument = Annotated[int, typer.Argument(metavar="ID", help="Number of the retraining, as `status` shows it.")]


@app.command("run", epilog=examples("plumbline controller run", "plumbline controller run --port 8091"))
def run(
    port: Annotated[int | None, typer.Option(help="Port to listen on; the setting's by default.")] = None,
) -> None:
    """Listens for alerts until it is stopped (SIGTERM or Ctrl-C)."""
    from plumbline.controller.server import serve

    settings = load_settings()
    chosen = settings.controller.port if port is None else port
    scheme = "http" if settings.controller.access.certificate_file is None else "https"
    address = f"Alerts: POST {scheme}://{settings.controller.host}:{chosen}/webhook/alertmanager"
    serve(settings, port=chosen, starting=lambda: progress_console.print(address))


@app.command("status", epilog=examples("plumbline controller status"))
def status(as_json: JsonOption = False) -> None:
    """Shows whether a controller works, the alerts received, and the retrainings they led to."""
    from plumbline.controller.health import describe
    from plumbline.controller.state import open_state

    settings = load_settings()
    known = describe(settings, open_state(settings))
    if as_json:
        print_json(known)
        return
    shown: list[Any] = [{name: each[name] for name in _SHOWN} for each in known["retrainings"]]
    print_rows(shown, as_json=False, title="Retrainings")
    alerts: list[Any] = [
        {
            "alert": alert["name"],
            "status": alert["status"],
            "received": alert["received"],
            "action": alert["action"],
            "retraining": alert["retraining"],
            "summary": alert["annotations"].get("summary", ""),
            "why": alert["why"],
        }
        for alert in known["alerts"]
    ]
    print_rows(alerts, as_json=False, title="Alerts")
    typer.echo(known["controller"]["message"])


@app.command("audit", epilog=examples("plumbline controller audit --json"))
def audit(as_json: JsonOption = False) -> None:
    """Shows who changed what, when and why: the whole audit log."""
    from plumbline.registry.audit import AuditLog

    rows: list[Any] = [vars(entry) for entry in AuditLog(load_settings()).read()]
    print_rows(rows, as_json=as_json, title="Audit log")


@app.command("approve", epilog=examples("plumbline controller approve 3 --reason 'Its card was read.'"))
def approve(number: NumberArgument, reason: ReasonOption = "Its card was read.", as_json: JsonOption = False) -> None:
    """Makes the version of a retraining that waits for approval the champion."""
    settings = load_settings()
    _tell(settings, _decisions(settings).approve(number, reason), as_json=as_json)


@app.command("reject", epilog=examples("plumbline controller reject 3 --reason 'Too slow for what it gains.'"))
def reject(number: NumberArgument, reason: ReasonOption, as_json: JsonOption = False) -> None:
    """Keeps the version of a retraining that waits for approval out."""
    settings = load_settings()
    _tell(settings, _decisions(settings).reject(number, reason), as_json=as_json)


@app.command("cancel", epilog=examples("plumbline controller cancel 3 --reason 'The upstream is repaired.'"))
def cancel(number: NumberArgument, reason: ReasonOption, as_json: JsonOption = False) -> None:
    """Ends a retraining that is queued or running."""
    from plumbline.controller.loop import name_of

    settings = load_settings()
    cancelled = _decisions(settings).cancel(number, reason)
    _tell(settings, cancelled, as_json=as_json)
    if settings.pipelines.runner == "kfp" and cancelled.log is not None:
        _advise(
            f"A run that it has on the KFP API server goes on, and may still promote its version: terminate the run "
            f"training-{name_of(cancelled)} at {settings.pipelines.host}."
        )


@app.command("retry", epilog=examples("plumbline controller retry 3 --reason 'The disk has room again.'"))
def retry(number: NumberArgument, reason: ReasonOption, as_json: JsonOption = False) -> None:
    """Queues a retraining that failed or was cancelled again, under a new number."""
    settings = load_settings()
    _tell(settings, _decisions(settings).retry(number, reason), as_json=as_json)


@app.command("trigger", epilog=examples("plumbline controller trigger --reason 'A new board.' --as-of latest"))
def trigger(
    reason: ReasonOption,
    snapshot: Annotated[
        str, typer.Option(help="Snapshot to train on: an id, a beginning of one, or `latest`.")
    ] = "latest",
    as_of: Annotated[
        str, typer.Option(help="What is known at this instant is trained on: ISO 8601, `now` or `latest`.")
    ] = "now",
    as_json: JsonOption = False,
) -> None:
    """Queues a retraining that no alert has asked for."""
    from plumbline.data.snapshot import LATEST, SnapshotStore
    from plumbline.features.instants import instant_of
    from plumbline.storage import open_store

    settings = load_settings()
    found = SnapshotStore(open_store(settings)).get(snapshot).id
    instant = instant_of(as_of, settings, snapshot=found)
    wanted = snapshot if snapshot == LATEST else found
    _tell(settings, _decisions(settings).trigger(wanted, instant, reason), as_json=as_json)


def _decisions(settings: Settings) -> Decisions:
    from plumbline.controller.decisions import Decisions
    from plumbline.controller.state import open_state
    from plumbline.controller.trainer import trainer_for
    from plumbline.registry.audit import whoami

    return Decisions(settings, open_state(settings), trainer_for(settings), who=whoami())


def _tell(settings: Settings, retraining: Retraining, *, as_json: bool) -> None:
    from plumbline.controller.health import health_of

    shown = {name: value for name, value in retraining.to_json().items() if name in _SHOWN}
    print_result(shown, as_json=as_json, title=f"Retraining {retraining.id}")
    health = health_of(settings, [retraining])
    if not health.works:
        _advise(health.message)


def _advise(text: str) -> None:
    progress_console.print(text, soft_wrap=True, markup=False)
