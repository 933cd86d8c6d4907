"""Lets a new version in beside the champion, judges it, and takes it out again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from plumbline.cli.output import JsonOption, ReasonOption, examples, print_result, print_rows, print_text, step
from plumbline.settings import load_settings

if TYPE_CHECKING:
    from plumbline.registry.releases import Release, Releases

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Lets a new version in, judges it, takes it out again."
)

ModelOption = Annotated[str | None, typer.Option(help="Registered model; default: the setting's.")]
WeightOption = Annotated[
    float | None, typer.Option(help="Share of the clients, 0 to 1; default: the setting's, with --shadow none.")
]


@app.command(
    "start",
    epilog=examples(
        "plumbline release start 3 --reason 'Better on new boards.' --weight 0.05",
        "plumbline release start 3 --reason 'A look first.' --shadow",
    ),
)
def start(
    version: Annotated[str, typer.Argument(help="Version number.")],
    reason: ReasonOption,
    weight: WeightOption = None,
    shadow: Annotated[bool, typer.Option("--shadow", help="Copies of the champion's queries, never answers.")] = False,
    model: ModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Lets a version in: as a canary with a weight, as a shadow, or as both."""
    releases = _releases(model)
    chosen = load_settings().serving.release.weight if weight is None and not shadow else weight
    _show(releases.start(version, reason, weight=chosen, shadow=shadow), as_json=as_json)


@app.command("set-weight", epilog=examples("plumbline release set-weight 0.2 --reason 'A day without errors.'"))
def set_weight(
    weight: Annotated[float, typer.Argument(help="Share of the clients, 0 to 1.")],
    reason: ReasonOption,
    model: ModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Changes the canary's share of the clients; those who have it keep it where the share grows."""
    _show(_releases(model).set_weight(weight, reason), as_json=as_json)


@app.command("status", epilog=examples("plumbline release status"))
def status(
    version: Annotated[str | None, typer.Option(help="This version's latest release, over or not.")] = None,
    model: ModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Shows the release that goes on. JSON: {"release": null} where there is none."""
    releases = _releases(model)
    found = releases.current() if version is None else releases.latest_of(version)
    if as_json:
        print_result({"release": None if found is None else found.to_json()}, as_json=True, title="Release")
    elif found is None:
        print_text("No release goes on." if version is None else f"Version {version} was never released.")
    else:
        _show(found, as_json=False)


@app.command("judge", epilog=examples("plumbline release judge --apply"))
def judge_command(
    apply: Annotated[bool, typer.Option("--apply", help="Carry the verdict out: promote, or roll back.")] = False,
    snapshot: Annotated[str, typer.Option(help="Snapshot whose labels count.")] = "latest",
    as_of: Annotated[datetime | None, typer.Option(help="Labels known at this time (UTC); default: now.")] = None,
    model: ModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Says whether to go on, promote or roll back, by labels that have arrived; objectives are watched by replicas."""
    from serving.release.judge import judge
    from serving.release.verdicts import carry_out, remember

    releases = _releases(model)
    until = datetime.now(UTC) if as_of is None else as_of.replace(tzinfo=as_of.tzinfo or UTC)
    with step("Joining answers with labels"):
        release = releases.require_current()
        verdict = judge(load_settings(), release, labels_until=until, snapshot=snapshot)
    remember(releases, release, verdict)
    after = carry_out(releases, release, verdict) if apply else release
    result: dict[str, Any] = {
        "release": after.id,
        "version": after.version,
        "decision": verdict.decision,
        "basis": verdict.basis,
        "why": verdict.why,
        "state": after.ending or "running",
        **verdict.numbers,
    }
    print_result(result, as_json=as_json, title=f"Verdict on version {after.version}")


@app.command("promote", epilog=examples("plumbline release promote --reason 'It has proved itself.'"))
def promote(reason: ReasonOption, model: ModelOption = None, as_json: JsonOption = False) -> None:
    """Makes the released version the champion."""
    _show(_releases(model).promote(reason), as_json=as_json)


@app.command("abort", epilog=examples("plumbline release abort --reason 'Late answers.'"))
def abort(reason: ReasonOption, model: ModelOption = None, as_json: JsonOption = False) -> None:
    """Takes the released version out again; replicas follow within seconds."""
    _show(_releases(model).abort(reason), as_json=as_json)


@app.command("history", epilog=examples("plumbline release history"))
def history(model: ModelOption = None, as_json: JsonOption = False) -> None:
    """Lists every change of every release, with who, why and on which numbers."""
    rows: list[Any] = [vars(entry) for entry in _releases(model).history()]
    if not as_json:
        rows = [{name: row[name] for name in ("when", "who", "what", "subject", "why")} for row in rows]
    print_rows(rows, as_json=as_json, title="Releases")


def _releases(model: str | None) -> Releases:
    from plumbline.registry.models import ModelRegistry
    from plumbline.registry.releases import Releases

    settings = load_settings()
    if model is not None:
        tracking = settings.tracking.model_copy(update={"model_name": model})
        settings = settings.model_copy(update={"tracking": tracking})
    return Releases(settings, ModelRegistry(settings))


def _show(release: Release, *, as_json: bool) -> None:
    print_result(release.to_json(), as_json=as_json, title=f"Release of version {release.version}")
