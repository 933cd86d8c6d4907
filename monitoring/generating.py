"""`plumbline monitor rules` and `dashboards`: what Prometheus and Grafana are given, written to a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from plumbline.cli.output import JsonOption, print_rows
from plumbline.errors import UserError
from plumbline.faults import first, shown, wanted
from plumbline.settings import load_settings

_OPTIONS = {
    "monitor_interval_seconds": "--monitor-interval",
    "retraining_limit_seconds": "--retraining-limit",
    "components": "--component",
}
"""Those that are not named as their parameters."""

OutOption = Annotated[Path, typer.Option("--out", help="Folder to write to; made if it is not there.")]


def rules(
    out: OutOption,
    namespace: Annotated[str, typer.Option(help="Label `namespace` of the scraped series; empty if none.")] = "",
    latency_objective: Annotated[float, typer.Option(help="Share of answers inside the latency budget.")] = 0.99,
    availability_objective: Annotated[float, typer.Option(help="Share of valid requests that are answered.")] = 0.999,
    monitor_interval: Annotated[int, typer.Option(help="Seconds between two monitor runs.")] = 86400,
    retraining_limit: Annotated[int, typer.Option(help="Seconds that a retraining may take.")] = 7200,
    component: Annotated[
        list[str] | None,
        typer.Option("--component", help="What is to be up; may be given several times. Default: all that runs there."),
    ] = None,
    parameters: Annotated[
        bool, typer.Option("--parameters/--without-parameters", help="Write parameters.yaml beside the rules.")
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Writes Prometheus' recording and alerting rules, and without --namespace a configuration that goes with them.

    The same options and settings write the same files.
    """
    from monitoring.rules import laptop
    from monitoring.rules.files import write_rules
    from monitoring.rules.parameters import COMPONENTS, Parameters

    settings = load_settings()
    on_one_machine = parameters and not namespace

    given: dict[str, Any] = {
        "namespace": namespace,
        "latency_objective": latency_objective,
        "availability_objective": availability_objective,
        "monitor_interval_seconds": monitor_interval,
        "retraining_limit_seconds": retraining_limit,
        "components": tuple(component or (laptop.COMPONENTS if on_one_machine else COMPONENTS)),
    }
    try:
        chosen = Parameters(**given)
    except ValidationError as error:
        fault = first(error)
        field = str(fault["loc"][0])
        option = _OPTIONS.get(field, f"--{field.replace('_', '-')}")
        raise UserError(f"{option} has a wrong value{shown(fault['input'])}: {wanted(fault)}.") from error
    files = write_rules(out, chosen if parameters else None, settings.monitoring.runbook_base_url)
    if on_one_machine:
        files.append(out / laptop.CONFIG_FILE)
        files[-1].write_text(laptop.prometheus_config(settings, chosen.components), encoding="utf-8")
    _print_files(files, as_json=as_json)


def dashboards(out: OutOption, as_json: JsonOption = False) -> None:
    """Writes Grafana's dashboards. Their ids stay the same, so that importing them again replaces them."""
    from monitoring.dashboards.files import write_dashboards

    _print_files(write_dashboards(out), as_json=as_json)


def _print_files(files: list[Path], *, as_json: bool) -> None:
    rows: list[Any] = [{"file": str(path), "bytes": path.stat().st_size} for path in files]
    print_rows(rows, as_json=as_json, title="Written")
