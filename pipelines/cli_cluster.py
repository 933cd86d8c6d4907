"""Sends pipelines, their versions and schedules to a KFP API server."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

import typer

from pipelines.options import (
    AsOfOption,
    NoPromoteOption,
    PipelineArgument,
    ReasonOption,
    SetOption,
    SnapshotOption,
    headline,
    pipeline_arguments,
)
from plumbline.cli.output import JsonOption, examples, print_json, print_result, print_rows, progress_console
from plumbline.settings import load_settings

HostOption = Annotated[str | None, typer.Option(help="Address of the KFP API server; else the setting.")]
WaitSecondsOption = Annotated[float, typer.Option(help="Waits this long for a server that does not answer yet.", min=0)]

_STARTING_SECONDS = 300.0
"""What a backend of the same installation may need until it answers."""


def add_to(app: typer.Typer) -> None:
    """Adds the commands to the group `pipeline`."""
    app.command("submit", epilog=examples("plumbline pipeline submit training --host http://127.0.0.1:8888 --wait"))(
        submit
    )
    app.command("upload", epilog=examples("plumbline pipeline upload --host http://127.0.0.1:8888 --schedules"))(upload)
    app.command("schedule", epilog=examples("plumbline pipeline schedule --host http://127.0.0.1:8888"))(schedule)


def submit(
    pipeline: PipelineArgument,
    host: HostOption = None,
    snapshot: SnapshotOption = "latest",
    as_of: AsOfOption = "now",
    reason: ReasonOption = "Submitted by hand.",
    set_: SetOption = None,
    no_promote: NoPromoteOption = False,
    wait: Annotated[bool, typer.Option("--wait", help="Waits for its end; the answer is then that of `run`.")] = False,
    key: Annotated[
        str | None,
        typer.Option(help="A key whose run goes on or went well starts nothing: that run is taken up.", metavar="TEXT"),
    ] = None,
    wait_seconds: Annotated[
        float | None,
        typer.Option(help="Waits this long for a server that does not answer yet; on a cluster 300 s with --wait."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Sends a pipeline to a cluster."""
    settings = load_settings()
    from pipelines.server import address_of, connect
    from pipelines.submit import submit as send
    from pipelines.waiting import wait_for_end

    address = address_of(settings, host)
    arguments = pipeline_arguments(snapshot, as_of, reason, set_, no_promote)
    if wait_seconds is None:
        wait_seconds = _STARTING_SECONDS if wait and settings.profile == "cluster" else 0.0
    server = connect(settings, address, wait_seconds=wait_seconds)
    done = send(
        pipeline, arguments, settings, server, experiment=settings.tracking.experiment, key=key or uuid.uuid4().hex[:12]
    )
    if not wait:
        result: dict[str, Any] = {
            "pipeline": pipeline,
            "image": settings.pipelines.image,
            "arguments": arguments,
            **vars(done),
        }
        print_result(result, as_json=as_json, title=f"Submitted {pipeline}")
        return
    progress_console.print(f"  {done.url}")
    result = {
        "pipeline": pipeline,
        **wait_for_end(done, settings, server, on_state=lambda state: progress_console.print(f"  {state.lower()}")),
    }
    if as_json:
        print_json(result)
    else:
        print_result(headline(result), as_json=False, title=f"Pipeline {pipeline}")


def upload(
    host: HostOption = None,
    schedules: Annotated[bool, typer.Option("--schedules", help="Brings the schedules up to date, too.")] = False,
    wait_seconds: WaitSecondsOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Uploads what has changed as new versions."""
    settings = load_settings()
    from pipelines.schedules import apply_schedules
    from pipelines.server import address_of, connect
    from pipelines.upload import upload as send

    server = connect(settings, address_of(settings, host), wait_seconds=wait_seconds)
    uploaded = send(settings, server)
    applied = apply_schedules(settings, server, uploaded, experiment=settings.tracking.experiment) if schedules else []
    if as_json:
        print_json({"pipelines": [vars(row) for row in uploaded], "schedules": [vars(row) for row in applied]})
        return
    print_rows([vars(row) for row in uploaded], as_json=False, title="Pipelines")
    if schedules:
        print_rows([vars(row) for row in applied], as_json=False, title="Schedules")


def schedule(host: HostOption = None, wait_seconds: WaitSecondsOption = 0.0, as_json: JsonOption = False) -> None:
    """Makes the server's recurring runs those of the settings."""
    settings = load_settings()
    from pipelines.schedules import apply_schedules
    from pipelines.server import address_of, connect
    from pipelines.upload import upload as send

    server = connect(settings, address_of(settings, host), wait_seconds=wait_seconds)
    applied = apply_schedules(settings, server, send(settings, server), experiment=settings.tracking.experiment)
    print_rows([vars(row) for row in applied], as_json=as_json, title="Schedules")
