"""`plumbline controller`: the loop's process, and what it knows."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from plumbline.cli.output import JsonOption, print_json, print_result, print_rows, progress_console
from plumbline.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="Takes alerts, retrains, records what came of it.")

_SHOWN = ("id", "state", "step", "attempts", "as_of", "gate_verdict", "model_version", "error")


@app.command("run")
def run(
    port: Annotated[int | None, typer.Option(help="Port to listen on; the setting's by default.")] = None,
) -> None:
    """Listens for alerts until it is stopped (SIGTERM or Ctrl-C)."""
    from plumbline.controller.server import serve

    settings = load_settings()
    chosen = settings.controller.port if port is None else port
    progress_console.print(f"Alerts: POST http://{settings.controller.host}:{chosen}/webhook/alertmanager")
    serve(settings, port=chosen)


@app.command("status")
def status(as_json: JsonOption = False) -> None:
    """Shows the alerts received and the retrainings they led to."""
    from plumbline.controller.server import open_state

    state = open_state(load_settings())
    retrainings = [each.to_json() for each in state.retrainings()]
    if as_json:
        print_json({"retrainings": retrainings, "alerts": state.alerts()})
        return
    shown: list[Any] = [{name: each[name] for name in _SHOWN} for each in retrainings]
    print_rows(shown, as_json=False, title="Retrainings")
    alerts: list[Any] = [
        {
            "alert": alert["name"],
            "status": alert["status"],
            "received": alert["received"],
            "action": alert["action"],
            "retraining": alert["retraining"],
            "summary": alert["annotations"].get("summary", ""),
        }
        for alert in state.alerts()
    ]
    print_rows(alerts, as_json=False, title="Alerts")


@app.command("audit")
def audit(as_json: JsonOption = False) -> None:
    """Shows who changed what, when and why: the whole audit log."""
    from plumbline.registry.audit import AuditLog

    rows: list[Any] = [vars(entry) for entry in AuditLog(load_settings()).read()]
    print_rows(rows, as_json=as_json, title="Audit log")


@app.command("approve")
def approve(
    number: Annotated[int, typer.Argument(metavar="ID", help="Number of the retraining, as `status` shows it.")],
    as_json: JsonOption = False,
) -> None:
    """Makes the version of a retraining that waits for approval the champion."""
    from plumbline.controller.loop import Loop
    from plumbline.controller.server import open_state
    from plumbline.controller.trainer import trainer_for
    from plumbline.registry.audit import whoami

    settings = load_settings()
    loop = Loop(settings, open_state(settings), trainer_for(settings))
    approved = loop.approve(number, who=whoami()).to_json()
    print_result({name: approved[name] for name in _SHOWN}, as_json=as_json, title=f"Retraining {number}")
