"""`plumbline serve` and `plumbline load`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from plumbline.cli.output import JsonOption, print_json, print_result, progress_console
from plumbline.errors import DependencyError, GateRefusedError, UserError
from plumbline.settings import Settings, load_settings

if TYPE_CHECKING:
    from serving.run import Ready

serve_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="The serving endpoint and its prediction log."
)
load_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Load on the serving endpoint.")


class ArrivalsOption(StrEnum):
    """How requests are spread in time."""

    poisson = "poisson"
    constant = "constant"


@serve_app.command("run")
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

    progress_console.print(f"  starting Ray and the endpoint on {settings.serving.host}:{settings.serving.port} ...")
    run_endpoint(settings, on_ready)
    progress_console.print("  stopped: requests drained, prediction log shipped")


@serve_app.command("log")
def log(as_json: JsonOption = False) -> None:
    """Counts the prediction log: rows, first and last, by model version, degraded."""
    from serving.prediction_log import read

    frame = read(load_settings())
    result: dict[str, Any] = {
        "count": len(frame),
        "first": frame["time"].min().isoformat() if len(frame) else None,
        "last": frame["time"].max().isoformat() if len(frame) else None,
        "degraded": int(frame["degraded"].sum()),
        "by_version": {str(version): int(count) for version, count in frame["model_version"].value_counts().items()},
    }
    print_result(result, as_json=as_json, title="Prediction log")


@serve_app.command("models")
def models(
    url: Annotated[str | None, typer.Option(help="Address of the endpoint; default: from the settings.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Asks the endpoint which model it serves."""
    import httpx

    address = url or _address(load_settings())
    try:
        answer = httpx.get(f"{address.rstrip('/')}/v1/models", timeout=5.0)
        answer.raise_for_status()
    except httpx.HTTPError as error:
        raise DependencyError(f"The endpoint at {address} does not answer ({error}). Is it running?") from error
    result = answer.json()
    if as_json:
        print_json(result)
    else:
        for model in result["models"]:
            print_result(model, as_json=False, title="Served model")


@serve_app.command("ask")
def ask_command(
    url: Annotated[str | None, typer.Option(help="Address of the endpoint; default: from the settings.")] = None,
    posting: Annotated[Path | None, typer.Option(help="JSON file with a posting; default: a made-up one.")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds to try until it answers.", min=0)] = 10.0,
    as_json: JsonOption = False,
) -> None:
    """Sends one posting to a running endpoint and prints the answer."""
    from serving.ask import ask

    answer = ask(url or _address(load_settings()), posting, timeout_seconds=timeout)
    print_result(answer, as_json=as_json, title="Answer")


@load_app.callback()
def load() -> None:
    """Load on the serving endpoint."""


@load_app.command("run")
def run_load(
    url: Annotated[str | None, typer.Option(help="Address of the endpoint; default: from the settings.")] = None,
    rate: Annotated[float, typer.Option(help="Requests per second.")] = 100.0,
    duration: Annotated[float, typer.Option(help="Seconds that are measured.")] = 20.0,
    warm_up: Annotated[float, typer.Option(help="Seconds before them, in no figure.")] = 2.0,
    snapshot: Annotated[str, typer.Option(help="Snapshot whose postings are sent.")] = "latest",
    since: Annotated[datetime | None, typer.Option(help="Only postings published at or after this time (UTC).")] = None,
    arrivals: Annotated[ArrivalsOption, typer.Option(help="Spread in time.")] = ArrivalsOption.poisson,
    budget_ms: Annotated[float | None, typer.Option(help="Latency budget; default: the endpoint's setting.")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds after which a request is an error.")] = 10.0,
    seed: Annotated[int, typer.Option(help="Of the arrivals and the sample of postings.")] = 0,
    verify_log: Annotated[bool, typer.Option(help="Look every answered request up in the prediction log.")] = False,
    fail_on_slo: Annotated[bool, typer.Option(help="Exit with 3 on an error or a p99 above the budget.")] = False,
    out: Annotated[Path | None, typer.Option(help="Also write the result to this file, as JSON.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Sends postings of a snapshot, open loop, and reports latency from the time at which each was due."""
    from serving.load.run import LoadPlan
    from serving.load.run import run_load as run_plan

    settings = load_settings()
    plan = LoadPlan(
        url=url or _address(settings),
        rate=rate,
        duration=duration,
        warm_up=warm_up,
        snapshot=snapshot,
        since=None if since is None else since.replace(tzinfo=since.tzinfo or UTC),
        arrivals=arrivals.value,
        budget_ms=budget_ms or settings.serving.latency_budget_ms,
        timeout=timeout,
        seed=seed,
        verify_log=verify_log,
    )
    progress_console.print(f"  {rate:g} requests/s for {duration:g} s, after {warm_up:g} s of warm-up ...")
    result = run_plan(settings, plan)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print_result(result, as_json=as_json, title="Load")
    if fail_on_slo and not result["slo_met"]:
        raise GateRefusedError(
            f"The objective was missed: p99 {result['p99_ms']} ms of {result['budget_ms']} ms, "
            f"{result['errors']} errors."
        )


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
