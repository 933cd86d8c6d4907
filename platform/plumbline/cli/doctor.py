"""`plumbline doctor`: is this machine, or a cluster, fit to run the line, and what to do where it is not."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Annotated, Any

import psutil
import typer

from plumbline.cli.doctor_system import python, shared_memory, system
from plumbline.cli.extras import how_to_install, missing_from, named
from plumbline.cli.output import JsonOption, print_rows
from plumbline.cluster.finding import Finding
from plumbline.cluster.fitness import LITE_CPUS, LITE_GIB, examine
from plumbline.errors import UserError
from plumbline.files import nearest_existing
from plumbline.process.ports import port_is_free
from plumbline.settings import Settings, load_settings
from plumbline.system import usable_cores

_GIB = 1024**3
MEMORY_NEEDED_GIB = 4.0
DISK_NEEDED_GIB = 2.0
CORES_NEEDED = 2
# Requirements of the whole line, by extra; each role's image holds only its own.
PARTS = {
    "features": ("feast", "duckdb"),
    "model": ("torch", "mlflow"),
    "pipelines": ("kfp",),
    "serving": ("ray", "fastapi"),
    "monitoring": ("evidently",),
}


def doctor(
    cluster: Annotated[bool, typer.Option("--cluster", help="Look at a Kubernetes cluster instead.")] = False,
    namespace: Annotated[str | None, typer.Option(help="Where the chart goes; default: the kubeconfig's.")] = None,
    context: Annotated[str | None, typer.Option(help="Context of the kubeconfig; default: the current one.")] = None,
    needs_cpus: Annotated[float, typer.Option(min=0, help="Cores that the values request.")] = LITE_CPUS,
    needs_gib: Annotated[float, typer.Option(min=0, help="Memory that the values request, GiB.")] = LITE_GIB,
    as_json: JsonOption = False,
) -> None:
    """Checks system, Python, cores, memory, disk, ports and versions, or a cluster, and says what to do."""
    if not cluster and (namespace is not None or context is not None):
        raise UserError("--namespace and --context belong to --cluster.")
    if cluster:
        from plumbline.cluster.kubeconfig import connect

        found = connect(context)
        findings = examine(found, namespace or found.namespace, cpus=needs_cpus, gib=needs_gib)
    else:
        settings = load_settings()
        findings = [check(settings) for check in _CHECKS] + _versions()
    _print(findings, as_json=as_json)
    if any(finding.verdict == "problem" for finding in findings):
        raise typer.Exit(2)


def _print(findings: list[Finding], *, as_json: bool) -> None:
    """Advice goes below the table: in a narrow column its commands could not be copied."""
    rows: list[Mapping[str, Any]] = [asdict(finding) for finding in findings]
    if as_json:
        print_rows(rows, as_json=True, title="Doctor")
        return
    shown: list[Mapping[str, Any]] = [{name: row[name] for name in ("check", "verdict", "found")} for row in rows]
    print_rows(shown, as_json=False, title="Doctor")
    for finding in findings:
        if finding.advice:
            typer.echo(f"{finding.check}: {finding.advice}")


def _cores(_: Settings) -> Finding:
    cores = usable_cores()
    good = cores >= CORES_NEEDED
    return Finding("cores", "ok" if good else "warning", str(cores), "" if good else "Expect the line to be slow.")


def _memory(_: Settings) -> Finding:
    available = psutil.virtual_memory().available / _GIB
    good = available >= MEMORY_NEEDED_GIB
    advice = "" if good else f"Free memory until {MEMORY_NEEDED_GIB:.0f} GiB are available."
    return Finding("memory", "ok" if good else "problem", f"{available:.1f} GiB available", advice)


def _disk(settings: Settings) -> Finding:
    folder = nearest_existing(settings.home)
    free = shutil.disk_usage(folder).free / _GIB
    good = free >= DISK_NEEDED_GIB
    advice = "" if good else f"Free {DISK_NEEDED_GIB:.0f} GiB there, or set PLUMBLINE_HOME to another disk."
    return Finding("disk", "ok" if good else "problem", f"{free:.1f} GiB free at {folder}", advice)


def _home(settings: Settings) -> Finding:
    folder = nearest_existing(settings.home)
    good = folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)
    advice = "" if good else "Set PLUMBLINE_HOME to a folder that you may write to."
    return Finding("home", "ok" if good else "problem", str(settings.home), advice)


def _serving_port(settings: Settings) -> Finding:
    return _port("serving port", settings.serving.host, settings.serving.port, "PLUMBLINE_SERVING__PORT")


def _controller_port(settings: Settings) -> Finding:
    return _port("controller port", settings.controller.host, settings.controller.port, "PLUMBLINE_CONTROLLER__PORT")


def _port(check: str, host: str, port: int, setting: str) -> Finding:
    try:
        free = port_is_free(host, port)
    except UserError as error:
        return Finding(check, "problem", f"{host}:{port}", str(error))
    advice = "" if free else f"Another process listens there. Stop it, or choose another port with {setting}."
    return Finding(check, "ok" if free else "warning", f"{host}:{port} {'free' if free else 'taken'}", advice)


def _versions() -> list[Finding]:
    findings = []
    for part, libraries in PARTS.items():
        missing = missing_from(part)
        if missing:
            missing.sort(key=lambda name: name not in libraries)  # those that say most come first
            advice = f"Not needed in an image without it. {how_to_install(part)}"
            findings.append(Finding(part, "warning", f"{named(missing)} not installed", advice))
            continue
        found = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in libraries)
        findings.append(Finding(part, "ok", found, ""))
    return findings


_CHECKS: tuple[Callable[[Settings], Finding], ...] = (
    system,
    python,
    _cores,
    _memory,
    shared_memory,
    _disk,
    _home,
    _serving_port,
    _controller_port,
)
