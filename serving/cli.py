"""`plumbline serve`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from plumbline.cli.output import JsonOption, examples, print_json, print_result, progress_console, step
from plumbline.errors import UserError
from plumbline.settings import Settings, load_settings
from serving.prediction_log.cli import log_app
from serving.telemetry.cli import budget
from serving.tuning.cli import tune

if TYPE_CHECKING:
    from serving.run import Ready

serve_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="The serving endpoint and its prediction log."
)
serve_app.add_typer(log_app, name="log")
serve_app.command("tune", epilog=examples("plumbline serve tune --budget-ms 50 --out plumbline.yaml"))(tune)
serve_app.command("budget", epilog=examples("plumbline serve budget spans.jsonl"))(budget)


@serve_app.command("run", epilog=examples("plumbline serve run", "plumbline serve run --host 0.0.0.0 --port 8100"))
def run(
    port: Annotated[int | None, typer.Option(help="Port to listen on; overrides the setting.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on; overrides the setting.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Serves the champion in the foreground until SIGTERM or Ctrl-C. Prints one line (or object) once it is ready."""
    from serving.run import run as run_endpoint

    settings = _with_address(load_settings(), host, port)

    def on_ready(ready: Ready) -> None:
        if as_json:
            print_json(vars(ready))
        else:
            typer.echo(f"ready: {ready.url} serves {ready.name} version {ready.version} ({ready.seconds:.1f} s)")

    run_endpoint(settings, on_ready, step=step)
    progress_console.print("  stopped: requests drained, prediction log shipped")


@serve_app.command("models", epilog=examples("plumbline serve models"))
def models(
    url: Annotated[str | None, typer.Option(help="Address of the endpoint; default: from the settings.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Asks the endpoint which model it serves."""
    from serving.access.keys import own_key
    from serving.ask import served_models

    settings = load_settings()
    result = served_models(url or _address(settings), own_key(settings.serving.access))
    if as_json:
        print_json(result)
    else:
        for model in result["models"]:
            print_result(model, as_json=False, title="Served model")


@serve_app.command("ask", epilog=examples("plumbline serve ask", "plumbline serve ask --posting posting.json"))
def ask_command(
    url: Annotated[str | None, typer.Option(help="Address of the endpoint; default: from the settings.")] = None,
    posting: Annotated[Path | None, typer.Option(help="JSON file with a posting; default: a made-up one.")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds to try until it answers.", min=0)] = 10.0,
    as_json: JsonOption = False,
) -> None:
    """Sends one posting to a running endpoint and prints the answer."""
    from serving.access.keys import own_key
    from serving.ask import ask

    settings = load_settings()
    key = own_key(settings.serving.access)
    answer = ask(url or _address(settings), posting, timeout_seconds=timeout, key=key)
    print_result(answer, as_json=as_json, title="Answer")


def _address(settings: Settings) -> str:
    from serving.run import address_of

    return address_of(settings)


def _with_address(settings: Settings, host: str | None, port: int | None) -> Settings:
    changes: dict[str, Any] = {}
    if host is not None:
        changes["host"] = host
    if port is not None:
        if not 1 <= port <= 65_535:
            raise UserError(f"{port} is not a port: give a number from 1 to 65535.")
        changes["port"] = port
    return settings.model_copy(update={"serving": settings.serving.model_copy(update=changes)})
