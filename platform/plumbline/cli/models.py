"""Shows, compares, promotes and rolls back models."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from plumbline.cli.models_evaluate import evaluate
from plumbline.cli.output import (
    JsonOption,
    ReasonOption,
    examples,
    print_json,
    print_result,
    print_rows,
    print_text,
    progress_console,
)
from plumbline.errors import MissingInputError, UserError
from plumbline.settings import load_settings

app = typer.Typer(help="Shows, compares, promotes and rolls back models.")
app.command(
    "evaluate", epilog=examples("plumbline models evaluate --data labelled.csv --mapping mapping.yaml --model champion")
)(evaluate)

WhichArgument = Annotated[str, typer.Argument(help="Version number, or an alias such as `champion`.")]


@app.command("list", epilog=examples("plumbline models list"))
def list_(as_json: JsonOption = False) -> None:
    """Lists all versions, newest first."""
    from plumbline.registry.models import TAG_AS_OF, TAG_VERDICT, ModelRegistry

    rows = [
        {
            "version": found.version,
            "aliases": ", ".join(found.aliases),
            "created_at": found.created_at.isoformat(timespec="seconds"),
            "as_of": found.tags.get(TAG_AS_OF, ""),
            "accuracy": found.tags.get("plumbline.accuracy", ""),
            "macro_f1": found.tags.get("plumbline.macro_f1", ""),
            "gate": found.tags.get(TAG_VERDICT, ""),
        }
        for found in ModelRegistry(load_settings()).list()
    ]
    print_rows(list(rows), as_json=as_json, title="Models")


@app.command("show", epilog=examples("plumbline models show champion"))
def show(which: WhichArgument, as_json: JsonOption = False) -> None:
    """Shows one version with its figures and the gate's grounds."""
    from plumbline.registry.models import TAG_AS_OF, TAG_DIGEST, TAG_SNAPSHOT, TAG_VERDICT, ModelRegistry

    registry = ModelRegistry(load_settings())
    found = registry.get(which)
    result = {
        "version": found.version,
        "aliases": list(found.aliases),
        "created_at": found.created_at.isoformat(),
        "run_id": found.run_id,
        "snapshot_id": found.tags.get(TAG_SNAPSHOT),
        "as_of": found.tags.get(TAG_AS_OF),
        "digest": found.tags.get(TAG_DIGEST),
        "accuracy": _number(found.tags.get("plumbline.accuracy")),
        "macro_f1": _number(found.tags.get("plumbline.macro_f1")),
        "n": _number(found.tags.get("plumbline.n")),
        "gate": found.tags.get(TAG_VERDICT),
        "reasons": found.tags.get("plumbline.gate.reasons"),
        "remarks": registry.remarks(found),
    }
    print_result(result, as_json=as_json, title=f"Model {found.version}")


@app.command("promote", epilog=examples("plumbline models promote 3 --reason 'Its card was read.'"))
def promote(
    version: Annotated[str, typer.Argument(help="Version number.")],
    reason: ReasonOption,
    override_gate: Annotated[
        bool,
        typer.Option(
            "--override-gate", help="Promote although the gate rejected it, or never judged it; the audit log says so."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Makes a version the champion; serving follows without a restart."""
    from plumbline.registry.models import ModelRegistry

    registry = ModelRegistry(load_settings())
    registry.promote(version, reason, override_gate=override_gate)
    print_result(_aliases(registry), as_json=as_json, title="Aliases")


@app.command("reject", epilog=examples("plumbline models reject 3 --reason 'Worse on one board.'"))
def reject(
    version: Annotated[str, typer.Argument(help="Version number.")], reason: ReasonOption, as_json: JsonOption = False
) -> None:
    """Keeps a version out: it loses the alias `challenger`, and the audit log says why."""
    from plumbline.registry.models import CHAMPION, ModelRegistry

    registry = ModelRegistry(load_settings())
    if registry.get(version).version == registry.version_of(CHAMPION):
        raise UserError(
            f"Version {version} is the champion. `plumbline models rollback --reason ...` makes the one before it "
            "champion again."
        )
    registry.reject(version, reason)
    print_result(_aliases(registry), as_json=as_json, title="Aliases")


@app.command("rollback", epilog=examples("plumbline models rollback --reason 'Complaints since noon.'"))
def rollback(reason: ReasonOption, as_json: JsonOption = False) -> None:
    """Makes the previous champion champion again; serving follows without a restart."""
    from plumbline.registry.models import ModelRegistry

    registry = ModelRegistry(load_settings())
    registry.rollback(reason)
    print_result(_aliases(registry), as_json=as_json, title="Aliases")


@app.command("card", epilog=examples("plumbline models card champion"))
def card(which: WhichArgument, as_json: JsonOption = False) -> None:
    """Prints a version's model card (Markdown)."""
    from plumbline.registry.models import ModelRegistry

    loaded = ModelRegistry(load_settings()).fetch(which)
    if loaded.card is None:
        raise MissingInputError(
            f"Version {loaded.version} was registered without a card. `plumbline models show {loaded.version}` says "
            "what is known of it."
        )
    text = loaded.card.read_text(encoding="utf-8")
    if as_json:
        print_json({"version": loaded.version, "card": text})
    else:
        print_text(text)


@app.command("compare", epilog=examples("plumbline models compare champion 3"))
def compare(first: WhichArgument, second: WhichArgument, as_json: JsonOption = False) -> None:
    """Compares two versions on the untouched rows that both were evaluated on."""
    from plumbline.registry.compare import compare as compare_versions
    from plumbline.registry.models import ModelRegistry

    settings = load_settings()
    result = compare_versions(ModelRegistry(settings), first, second, settings.pipelines.gate)
    print_result(result, as_json=as_json, title=f"{first} and {second}")


@app.command("history", epilog=examples("plumbline models history"))
def history(as_json: JsonOption = False) -> None:
    """Lists registrations, promotions, rejections and rollbacks with their reasons."""
    from plumbline.registry.models import ModelRegistry

    rows: list[dict[str, Any]] = [
        {"when": entry.when, "who": entry.who, "what": entry.what, "subject": entry.subject, "why": entry.why}
        for entry in ModelRegistry(load_settings()).history()
    ]
    print_rows(list(rows), as_json=as_json, title="History")


@app.command("ui", epilog=examples("plumbline models ui", "plumbline models ui --no-start"))
def ui(
    start: Annotated[bool, typer.Option(help="Start it; otherwise only print how.")] = True,
    port: Annotated[int | None, typer.Option(help="Port; a free one by default.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Opens MLflow's own views on this installation's runs and models."""
    from plumbline.process.ports import require_free_port
    from plumbline.registry.tracking import tracking_uri
    from plumbline.registry.ui import command_line, free_port, run_ui

    settings = load_settings()
    chosen = port or free_port()
    if start:
        require_free_port("127.0.0.1", chosen, "--port")
    url = f"http://127.0.0.1:{chosen}"
    line = command_line(tracking_uri(settings), chosen)
    if as_json or not start:
        print_result({"url": url, "command": " ".join(line)}, as_json=as_json, title="MLflow")
    if start and not as_json:
        # MLflow's pages begin with what language-model agents need, unless the address says otherwise.
        address = f"{url}/#/experiments?workflowType=machine_learning"
        progress_console.print(f"MLflow on {address} (Ctrl-C ends it)", soft_wrap=True)
        sys.exit(run_ui(settings, line))


def _aliases(registry: Any) -> dict[str, Any]:
    return {alias: registry.version_of(alias) for alias in ("champion", "challenger", "previous")}


def _number(text: str | None) -> int | float | None:
    number: int | float | None = None if text is None else json.loads(text)
    return number
