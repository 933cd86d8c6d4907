"""`plumbline load`."""

from __future__ import annotations

import json
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from plumbline.cli.output import JsonOption, examples, print_json, print_result, progress_console
from plumbline.errors import GateRefusedError
from plumbline.instants import parse_instant
from plumbline.settings import Settings, load_settings

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Load on the serving endpoint.")


class ArrivalsOption(StrEnum):
    """How requests are spread in time."""

    poisson = "poisson"
    constant = "constant"


class MissingOption(StrEnum):
    """What stands for a posting that the snapshot lacks."""

    sample = "sample"
    skip = "skip"


UrlOption = Annotated[str | None, typer.Option(help="Address of the endpoint; default: from the settings.")]
SnapshotOption = Annotated[str, typer.Option(help="Snapshot whose postings are sent.")]
SinceOption = Annotated[
    datetime | None, typer.Option(parser=parse_instant, help="Only postings published at or after this instant.")
]
ModelOption = Annotated[str | None, typer.Option(help="Name of the model; default: the endpoint's first.")]
BatchOption = Annotated[int | None, typer.Option(min=1, help="Postings per request, to the batch route.")]
BudgetOption = Annotated[
    float | None, typer.Option(min=0.001, help="Latency budget in ms; default: the endpoint's setting.")
]
TimeoutOption = Annotated[float, typer.Option(min=0.01, help="Seconds after which a request is an error.")]
HeaderOption = Annotated[list[str] | None, typer.Option("--header", help="`Name: value` of every request.")]
KeyOption = Annotated[
    Path | None, typer.Option(help="File with the API key; default: the setting serving.access.api_key.")
]
ProcessesOption = Annotated[int, typer.Option(min=1, max=64, help="Processes that share the sending.")]
SloOption = Annotated[
    str | None, typer.Option(help="Objectives, such as p99<50ms,errors<0.1%,goodput>450; exit code 3 if missed.")
]
VerifyOption = Annotated[bool, typer.Option(help="Look every answered request up in the prediction log.")]
HtmlOption = Annotated[Path | None, typer.Option(help="Also write the result as a page with pictures.")]
HdrOption = Annotated[Path | None, typer.Option(help="Also write a histogram per second (HdrHistogram's log).")]
OutOption = Annotated[Path | None, typer.Option(help="Also write the result to this file, as JSON.")]
SeedOption = Annotated[int, typer.Option(help="Of the arrivals and the sample of postings.")]


@app.command(
    "run",
    epilog=examples(
        "plumbline load run --rate 200 --duration 60 --slo 'p99<50ms'",
        "plumbline load run --ramp 50:500 --over 120 --html load.html",
    ),
)
def run(
    url: UrlOption = None,
    rate: Annotated[float | None, typer.Option(help="Requests per second; default: 100.")] = None,
    duration: Annotated[float | None, typer.Option(help="Seconds that are measured; default: 20.")] = None,
    ramp: Annotated[str | None, typer.Option(help="From one rate to another: 100:1500.")] = None,
    over: Annotated[float | None, typer.Option(help="Seconds of the ramp.")] = None,
    steps: Annotated[str | None, typer.Option(help="Rates one after the other: 100,300,500.")] = None,
    each: Annotated[float | None, typer.Option(help="Seconds of each step.")] = None,
    spike: Annotated[str | None, typer.Option(help="How many times the rate a spike is: 5x.")] = None,
    every: Annotated[float | None, typer.Option(help="Seconds from one spike to the next.")] = None,
    lasting: Annotated[float | None, typer.Option("--for", help="Seconds of a spike.")] = None,
    plan: Annotated[Path | None, typer.Option(help="YAML file with phases (see `plumbline load schema`).")] = None,
    warm_up: Annotated[float | None, typer.Option(help="Seconds before, in no figure; default: 2.")] = None,
    arrivals: Annotated[ArrivalsOption | None, typer.Option(help="Spread in time; default: poisson.")] = None,
    snapshot: SnapshotOption = "latest",
    since: SinceOption = None,
    model: ModelOption = None,
    batch: BatchOption = None,
    budget_ms: BudgetOption = None,
    timeout: TimeoutOption = 10.0,
    seed: Annotated[int | None, typer.Option(help="Of the arrivals and the sample of postings; default: 0.")] = None,
    header: HeaderOption = None,
    api_key_file: KeyOption = None,
    processes: ProcessesOption = 1,
    slo: SloOption = None,
    verify_log: VerifyOption = False,
    html: HtmlOption = None,
    hdr_log: HdrOption = None,
    out: OutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sends postings of a snapshot, open loop, and reports latency from the time at which each was due."""
    from serving.load.options import ShapeOptions, plan_of
    from serving.load.run import Judging, Postings, run_load
    from serving.load.sending import Sending
    from serving.load.slo import parse_slo

    settings = load_settings()
    shape = ShapeOptions(
        rate=rate, duration=duration, ramp=ramp, over=over, steps=steps, each=each, spike=spike, every=every,
        lasting=lasting, plan=plan, warm_up=warm_up, seed=seed,
        arrivals=None if arrivals is None else arrivals.value,
    )  # fmt: skip
    load_plan = plan_of(shape)
    objectives = tuple(parse_slo(slo)) if slo is not None else ()
    sending = Sending(url or _address(settings), timeout, _headers(settings, header, api_key_file), processes, True)
    judging = Judging(budget_ms or settings.serving.latency_budget_ms, objectives, verify_log, hdr_log)
    requests = sum(segment.requests for segment in load_plan.segments())
    progress_console.print(
        f"  {requests:.0f} requests in {load_plan.seconds:g} s, after {load_plan.warm_up_seconds:g} s of warm-up ..."
    )
    result = run_load(settings, load_plan, Postings(snapshot, since, model, batch), sending, judging)
    _finish_run(result, html, out, as_json)


@app.command("replay", epilog=examples("plumbline load replay --since 2026-05-25 --speed 10"))
def replay(
    url: UrlOption = None,
    since: Annotated[
        datetime | None, typer.Option(parser=parse_instant, help="First instant of the log that counts.")
    ] = None,
    until: Annotated[datetime | None, typer.Option(parser=parse_instant, help="First instant that does not.")] = None,
    speed: Annotated[float, typer.Option(help="2 sends in half the time.")] = 1.0,
    missing: Annotated[
        MissingOption, typer.Option(help="For a posting that the snapshot lacks: send another, or none.")
    ] = MissingOption.sample,
    snapshot: SnapshotOption = "latest",
    warm_up: Annotated[float, typer.Option(help="The first seconds, in no figure.")] = 0.0,
    model: Annotated[str | None, typer.Option(help="Model to ask; default: the one that was asked.")] = None,
    budget_ms: BudgetOption = None,
    timeout: TimeoutOption = 10.0,
    seed: SeedOption = 0,
    header: HeaderOption = None,
    api_key_file: KeyOption = None,
    processes: ProcessesOption = 1,
    slo: SloOption = None,
    verify_log: VerifyOption = False,
    html: HtmlOption = None,
    hdr_log: HdrOption = None,
    out: OutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sends the requests of the prediction log again, with the time between them, under new request ids."""
    from serving.load.replay import Replay, run_replay
    from serving.load.run import Judging
    from serving.load.sending import Sending
    from serving.load.slo import parse_slo

    settings = load_settings()
    objectives = tuple(parse_slo(slo)) if slo is not None else ()
    sending = Sending(url or _address(settings), timeout, _headers(settings, header, api_key_file), processes, True)
    judging = Judging(budget_ms or settings.serving.latency_budget_ms, objectives, verify_log, hdr_log)
    asked = Replay(snapshot, since, until, speed, missing.value, model, warm_up, seed)
    progress_console.print(f"  replaying the prediction log at {speed:g} times its speed ...")
    _finish_run(run_replay(settings, asked, sending, judging), html, out, as_json)


@app.command("knee", epilog=examples("plumbline load knee --from 100 --to 2000 --budget-ms 50"))
def knee(
    url: UrlOption = None,
    low: Annotated[float, typer.Option("--from", help="First rate, requests per second.")] = 100.0,
    high: Annotated[float, typer.Option("--to", help="Highest rate that is tried.")] = 10_000.0,
    precision: Annotated[float, typer.Option(help="How near to the knee, as a share of the rate.")] = 0.05,
    settle: Annotated[float, typer.Option(help="Seconds at each rate that are in no figure.")] = 3.0,
    duration: Annotated[float, typer.Option(help="Seconds at each rate that are measured.")] = 10.0,
    repeats: Annotated[int, typer.Option(min=1, help="How often the knee is measured; the majority counts.")] = 3,
    most_errors: Annotated[float, typer.Option(min=0, max=1, help="Share of the requests that may fail.")] = 0.001,
    snapshot: SnapshotOption = "latest",
    since: SinceOption = None,
    model: ModelOption = None,
    batch: BatchOption = None,
    budget_ms: BudgetOption = None,
    timeout: TimeoutOption = 2.0,
    seed: SeedOption = 0,
    header: HeaderOption = None,
    api_key_file: KeyOption = None,
    processes: ProcessesOption = 1,
    html: HtmlOption = None,
    out: OutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Finds the highest rate at which p99 stays inside the budget and errors stay below a share."""
    from serving.load.knee import Search
    from serving.load.knee_run import run_knee
    from serving.load.page import write_knee_page
    from serving.load.run import Postings
    from serving.load.sending import Sending

    settings = load_settings()
    search = Search(low, high, precision, repeats, budget_ms or settings.serving.latency_budget_ms, most_errors)
    sending = Sending(url or _address(settings), timeout, _headers(settings, header, api_key_file), processes, True)
    asked = Postings(snapshot, since, model, batch)
    result = run_knee(settings, search, asked, sending, settle=settle, seconds=duration, seed=seed)
    if html is not None:
        write_knee_page(result, html)
    _write(result, out)
    shown = result if as_json else {name: value for name, value in result.items() if name != "curve"}
    print_result(shown, as_json=as_json, title="Knee")


@app.command("schema", epilog=examples("plumbline load schema"))
def schema() -> None:
    """Prints the JSON Schema of a load plan."""
    from serving.load.plan import LoadPlan

    print_json(LoadPlan.model_json_schema())


_LONG = ("plan", "rate_corners", "percentile_curve", "by_second", "machine", "slo", "generator_warnings")


def _finish_run(result: dict[str, Any], html: Path | None, out: Path | None, as_json: bool) -> None:
    from serving.load.page import write_run_page

    if html is not None:
        write_run_page(result, html)
    _write(result, out)
    shown = result if as_json else {name: value for name, value in result.items() if name not in _LONG}
    print_result(shown, as_json=as_json, title="Load")
    for warning in result["generator_warnings"]:
        progress_console.print(f"  Warning: {warning}")
    missed = [row for row in result["slo"] if not row["met"]]
    if missed:
        found = "; ".join(f"{row['objective']}: {_shown(row['value'])}" for row in missed)
        blame = "" if result["generator_ok"] else " But the generator did not keep up itself: see its warnings."
        raise GateRefusedError(f"Objectives were missed: {found}.{blame}")


def _shown(value: float | None) -> str:
    return "nothing was answered" if value is None else f"{value:.6g}"


def _write(result: dict[str, Any], out: Path | None) -> None:
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _headers(settings: Settings, given: list[str] | None, api_key_file: Path | None) -> dict[str, str]:
    from serving.load.endpoint import request_headers

    return request_headers(settings, given or [], api_key_file)


def _address(settings: Settings) -> str:
    from serving.run import address_of

    return address_of(settings)
