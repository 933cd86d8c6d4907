"""`plumbline monitor`: judges windows, sends alerts, shows results."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from monitoring.generating import dashboards, rules
from plumbline.cli.output import JsonOption, examples, print_json, print_result, print_rows, progress_console, step
from plumbline.errors import PlumblineError, UserError
from plumbline.instants import parse_instant
from plumbline.model.class_names import titled
from plumbline.settings import Settings, load_settings

if TYPE_CHECKING:
    from monitoring.sending import Receivers

app = typer.Typer(no_args_is_help=True, help="Drift monitors: windows against the served model's reference.")
app.command(
    "rules",
    epilog=examples("plumbline monitor rules --out rules", "plumbline monitor rules --out rules --namespace plumbline"),
)(rules)
app.command("dashboards", epilog=examples("plumbline monitor dashboards --out dashboards"))(dashboards)

SnapshotOption = Annotated[str, typer.Option("--snapshot", help="Snapshot id, its beginning, or `latest`.")]
PolicyOption = Annotated[
    str | None, typer.Option("--policy", help="Drift policy: a name or a YAML file; the setting's by default.")
]


@app.command(
    "run",
    epilog=examples(
        "plumbline monitor run --last 14d",
        "plumbline monitor run --window 2026-05-11/2026-05-25 --alert-url http://127.0.0.1:8090/webhook/alertmanager",
    ),
)
def run(
    snapshot: SnapshotOption = "latest",
    start: Annotated[str | None, typer.Option(help="Start of the window, ISO 8601.")] = None,
    end: Annotated[str | None, typer.Option(help="End of the window (not in it), ISO 8601.")] = None,
    window: Annotated[list[str] | None, typer.Option("--window", help="START/END; may be given several times.")] = None,
    last: Annotated[
        str | None,
        typer.Option(help="Length of the window that ends with the snapshot's newest whole day: 36h, 14d, 2w."),
    ] = None,
    until: Annotated[str | None, typer.Option(help="End of the window of --last, ISO 8601, instead.")] = None,
    model: Annotated[str, typer.Option(help="Alias or version of the watched model.")] = "champion",
    labels_as_of: Annotated[
        str | None, typer.Option(help="Use labels that had arrived by then; the window's end by default.")
    ] = None,
    alert_url: Annotated[
        list[str] | None,
        typer.Option(help="Where alerts are sent to; monitoring.receivers by default. May be given several times."),
    ] = None,
    policy: PolicyOption = None,
    html: Annotated[bool, typer.Option("--html/--no-html", help="Make Evidently's pages.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Judges windows of a snapshot. Exit code 0 whether or not there are alerts; 4 where one was not delivered."""

    from monitoring.sending import receivers_of, send

    settings = load_settings()
    receivers = receivers_of(settings, alert_url)
    if last is None:
        if until is not None:
            raise UserError("--until goes with --last, as in --last 14d --until 2026-06-08.")
        windows = _windows(start, end, window)
    elif start or end or window:
        raise UserError("Give --last, or --start and --end, or --window: one of them.")
    else:
        windows = [_last_window(settings, last, until, snapshot=snapshot, receivers=receivers)]
    results, alerts = _judge(
        settings,
        snapshot=snapshot,
        windows=windows,
        model=model,
        policy_name=policy or settings.monitoring.policy,
        labels_as_of=None if labels_as_of is None else parse_instant(labels_as_of),
        html=html,
        receivers=receivers,
    )
    undelivered: PlumblineError | None = None
    try:
        send(settings, alerts, receivers)
    except PlumblineError as error:
        undelivered = error
    _print_windows(results, single=not window, as_json=as_json)
    if undelivered is not None:
        raise undelivered


@app.command(
    "weekly", epilog=examples("plumbline monitor weekly --start 2026-04-06 --end 2026-06-08 --models previous,champion")
)
def weekly(
    start: Annotated[str, typer.Option(help="Start of the first week, ISO 8601.")],
    end: Annotated[str, typer.Option(help="End of the last week (not in it), ISO 8601.")],
    models: Annotated[str, typer.Option(help="Versions or aliases, separated by commas.")] = "champion",
    snapshot: SnapshotOption = "latest",
    as_json: JsonOption = False,
) -> None:
    """Accuracy of model versions week by week, on all labels that are finally known."""
    from monitoring.weekly import weekly_accuracy
    from monitoring.window import Window

    settings = load_settings()
    with step("Score every week"):
        rows: list[Any] = weekly_accuracy(
            settings, snapshot=snapshot, window=Window(parse_instant(start), parse_instant(end)), models=_names(models)
        )
    print_rows(rows, as_json=as_json, title="Accuracy by week")


@app.command("answers", epilog=examples("plumbline monitor answers --since 2026-05-25 --models 1,2"))
def answers(
    since: Annotated[str, typer.Option(help="Postings from here on, ISO 8601.")],
    until: Annotated[str | None, typer.Option(help="Postings before this, ISO 8601; all by default.")] = None,
    models: Annotated[str, typer.Option(help="Versions or aliases, separated by commas.")] = "previous,champion",
    count: Annotated[int, typer.Option(min=1, max=100, help="How many to show.")] = 5,
    seed: Annotated[int, typer.Option(help="Of the random order; the same seed shows the same postings.")] = 7,
    snapshot: SnapshotOption = "latest",
    as_json: JsonOption = False,
) -> None:
    """Shows postings with the answers of several versions, those on which they disagree first."""
    from monitoring.answers import sample_answers
    from monitoring.served import newest_posting
    from monitoring.window import Window

    settings = load_settings()
    begin = parse_instant(since)
    end = newest_posting(settings, snapshot) + timedelta(microseconds=1) if until is None else parse_instant(until)
    with step("Ask every version"):
        result = sample_answers(
            settings,
            snapshot=snapshot,
            window=Window(begin, end),
            models=_names(models),
            count=count,
            seed=seed,
        )
    if as_json:
        print_json(result)
        return
    names = result["class_names"]
    shown: list[Any] = [
        {
            "board": row["board"],
            "title": row["title"],
            "label": "-" if row["label"] is None else titled(row["label"], names),
            **{
                f"version {given['version']}": f"{titled(given['label'], names)} ({given['probability']:.2f})"
                for given in row["answers"]
            },
        }
        for row in result["rows"]
    ]
    print_rows(shown, as_json=False, title="Answers")
    counts = {name: result[name] for name in ("postings", "labelled", "disagree", "right_where_they_disagree", "how")}
    print_result(counts, as_json=False, title="Of all that were asked")


@app.command(
    "policy", epilog=examples("plumbline monitor policy", "plumbline monitor policy --policy policy.yaml --json")
)
def policy_command(policy: PolicyOption = None, as_json: JsonOption = False) -> None:
    """Checks a drift policy and prints it with its defaults filled in."""
    from monitoring.policy import load_policy

    settings = load_settings()
    content = load_policy(policy or settings.monitoring.policy).model_dump(mode="json")
    print_result(content, as_json=as_json, title="Drift policy")


@app.command("schema", epilog=examples("plumbline monitor schema"))
def schema() -> None:
    """Prints the JSON Schema of drift policies."""
    from monitoring.policy import DriftPolicy

    print_json(DriftPolicy.model_json_schema())


@app.command("history", epilog=examples("plumbline monitor history --last 5"))
def history(
    last: Annotated[int, typer.Option(min=1, help="How many results to show.")] = 20, as_json: JsonOption = False
) -> None:
    """Shows past results, oldest first."""
    from monitoring.results import ResultStore

    results = ResultStore(load_settings()).latest(last)
    if as_json:
        print_json({"rows": results})
        return
    rows: list[Any] = [
        {
            "finished": each["finished_at"][:19],
            "version": each["model_version"],
            "window": f"{each['window']['start'][:10]}/{each['window']['end'][:10]}",
            "rows": each["rows"],
            "status": each["status"],
            "breached": ", ".join(test["name"] for test in each["tests"] if test["breached"]) or "-",
        }
        for each in results
    ]
    print_rows(rows, as_json=False, title="Results")


@app.command("page", epilog=examples("plumbline monitor page --out report.html"))
def page(
    out: Annotated[Path, typer.Option(help="HTML file to write.")],
    address: Annotated[
        str | None, typer.Option(help="`report_html` of a result, or the end of it; the newest page by default.")
    ] = None,
) -> None:
    """Brings an Evidently page to a file of this machine, from wherever monitors keep their pages."""
    from monitoring.report import read_page

    content = read_page(load_settings(), address)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(content)
    progress_console.print(f"Report: {out}")


@app.command("exporter", epilog=examples("plumbline monitor exporter --port 9106"))
def exporter(
    port: Annotated[int | None, typer.Option(help="Port to serve on; the setting's by default.")] = None,
) -> None:
    """Serves the latest results as Prometheus metrics until it is stopped."""
    import signal
    import threading

    from monitoring.exporter import serve

    settings = load_settings()
    chosen = settings.monitoring.exporter_port if port is None else port
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    address = f"Metrics: http://{settings.monitoring.exporter_host}:{chosen}/metrics"
    serve(settings, port=chosen, stop=stop, starting=lambda: progress_console.print(address))


@app.command("ui", epilog=examples("plumbline monitor ui --port 8086"))
def ui(port: Annotated[int | None, typer.Option(help="Port of the pages; the setting's by default.")] = None) -> None:
    """Serves Evidently's own pages over the monitors' workspace until it is stopped."""
    from monitoring.evidently_workspace import serve_ui, workspace_dir
    from plumbline.process.ports import require_free_port

    settings = load_settings()
    chosen = settings.monitoring.ui_port if port is None else port
    host = settings.monitoring.ui_host
    require_free_port(host, chosen, "--port or PLUMBLINE_MONITORING__UI_PORT")
    progress_console.print(f"Evidently: http://{host}:{chosen}")
    serve_ui(workspace_dir(settings), host=host, port=chosen)


def _names(models: str) -> list[str]:
    chosen = [name.strip() for name in models.split(",") if name.strip()]
    if not chosen:
        raise UserError("Name at least one model version, as in --models 1,2.")
    return chosen


def _windows(start: str | None, end: str | None, texts: list[str] | None) -> list[Any]:
    from monitoring.window import Window

    if texts and (start or end):
        raise UserError("Give either --start and --end, or --window, not both.")
    if texts:
        return [Window.parse(text) for text in texts]
    if start is None or end is None:
        raise UserError("Say which window: --last 14d, --start and --end, or --window START/END.")
    return [Window(parse_instant(start), parse_instant(end))]


def _last_window(settings: Settings, last: str, until: str | None, *, snapshot: str, receivers: Receivers) -> Any:
    """The window of `--last`; a store that cannot say where it ends is a failed monitor, and says so by an alert."""
    from datetime import UTC, datetime

    from monitoring.failure import report_failure
    from monitoring.served import newest_posting
    from monitoring.window import Window, parse_duration

    length = parse_duration(last)
    if until is not None:
        end = parse_instant(until)
        return Window.of_length(length, end)
    try:
        return Window.last_before(length, newest_posting(settings, snapshot))
    except Exception as error:
        wanted = Window.last_before(length, datetime.now(UTC))
        report_failure(settings, error, windows=[wanted], snapshot=snapshot, receivers=receivers)
        raise


def _judge(settings: Settings, *, receivers: Receivers, **what: Any) -> tuple[list[dict[str, Any]], list[Any]]:
    """Results and alerts of the windows; a monitor that fails says so by an alert before its error goes on."""
    from monitoring.failure import report_failure
    from monitoring.job import judge_windows

    try:
        with step(f"Judge {len(what['windows'])} window{'s' if len(what['windows']) > 1 else ''}"):
            return judge_windows(settings, **what)
    except Exception as error:
        report_failure(settings, error, windows=what["windows"], snapshot=what["snapshot"], receivers=receivers)
        raise


def _print_windows(results: list[dict[str, Any]], *, single: bool, as_json: bool) -> None:
    if as_json:
        print_json(results[0] if single else {"windows": results, "alerts": sum(each["alerts"] for each in results)})
        return
    for result in results:
        title = f"{result['window']['start'][:10]} to {result['window']['end'][:10]}: {result['status']}"
        if result["alert"] is not None:
            progress_console.print(result["alert"]["annotations"]["summary"])
        tests: list[Any] = [
            {name: test[name] for name in ("name", "value", "expected", "threshold", "breached")}
            for test in result["tests"]
            if test["value"] is not None
        ]
        if tests:
            print_rows(tests[:12], as_json=False, title=title)
        else:
            typer.echo(f"{title}: {result['reason']}" if result["reason"] else title)
        if result["report_html"]:
            progress_console.print(f"Report: {result['evidently_run'] or result['report_html']}")
        if result["evidently_problem"]:
            progress_console.print(result["evidently_problem"])
