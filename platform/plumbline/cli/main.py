"""Entry point of `plumbline`: finds each part's commands, and turns errors into one sentence and an exit code."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import json
import os
import sys
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from importlib.metadata import EntryPoint, entry_points
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from plumbline import __version__
from plumbline.cli.demo import demo
from plumbline.cli.doctor import doctor
from plumbline.cli.extras import missing_extra
from plumbline.cli.failures import OUTPUT_CLOSED, StoppedError, explained, require_home
from plumbline.cli.output import examples, name_output, sign_of_life
from plumbline.cli.status import status
from plumbline.errors import PlumblineError, UserError
from plumbline.settings import Settings, load_settings
from plumbline.system import require_supported

COMMAND_GROUP = "plumbline.commands"
"""Entry points of this group are Typer apps: name = command, value = `module:app`."""


def build_app(arguments: Sequence[str]) -> typer.Typer:
    """The command line. Only the part that is called is imported: `plumbline data` must not wait for Ray.

    Args:
        arguments: What follows `plumbline` on the command line.
    """
    app = typer.Typer(
        cls=_Group,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.command(
        "demo",
        epilog=examples("plumbline demo", "plumbline demo --data postings.csv --mapping mapping.yaml --out demo"),
    )(demo)
    app.command("status", epilog=examples("plumbline status", "plumbline status --json"))(status)
    app.command("doctor", epilog=examples("plumbline doctor", "plumbline doctor --cluster --namespace plumbline"))(
        doctor
    )
    app.command("version", epilog=examples("plumbline version"))(_version)
    app.command("settings", epilog=examples("plumbline settings"))(_settings_schema)
    app.callback()(_whole)
    called = _called(arguments) or _called(_completed_words())
    for point in sorted(entry_points(group=COMMAND_GROUP)):
        if point.name == called:
            app.add_typer(point.load(), name=point.name, no_args_is_help=True)
        else:
            app.add_typer(typer.Typer(), name=point.name, help=_summary(point))
    _list_whole(app)
    return app


def main() -> None:
    """Runs the command line; exit codes are those of `plumbline.errors`, and 130 after Ctrl-C."""
    try:
        require_supported()
        name_output()
        _prepare_children()
        if called := _called(sys.argv[1:]):
            home = load_settings().home
            if called != "doctor":  # to it, a home that is none is one finding of many
                require_home(home)
        try:
            with _sign_of_life(sys.argv[1:]):
                build_app(sys.argv[1:])(prog_name="plumbline")
        finally:
            _flush()
    except BaseException as error:
        if (known := _known(error)) is None:
            raise
        _fail(known)


def _known(error: BaseException) -> PlumblineError | None:
    """The error as one of ours; None: an orderly end, or a defect."""
    if isinstance(error, PlumblineError):
        return error
    # Click makes exit codes 1 and 130 of a closed pipe and of Ctrl-C, and says nothing.
    if isinstance(error, SystemExit) and error.code not in (1, StoppedError.exit_code):
        return None
    if isinstance(error, ModuleNotFoundError) and (extra := missing_extra(error, _called(sys.argv[1:]))):
        return extra
    home = None
    with contextlib.suppress(PlumblineError):
        home = load_settings().home
    return explained(error, home)


def _called(arguments: Sequence[str]) -> str | None:
    return next((word for word in arguments if not word.startswith("-")), None)


def _prepare_children() -> None:
    """What child processes inherit, however deep: KFP's steps, Ray's workers, MLflow's server.

    Their path holds no working folder, whose `serving/` or `random.py` would hide ours or Python's own. Deprecations
    inside the stack's libraries are not the user's to act on.
    """
    os.environ.setdefault("PYTHONSAFEPATH", "1")
    for category in (DeprecationWarning, FutureWarning, PendingDeprecationWarning):
        warnings.simplefilter("ignore", category)
    os.environ.setdefault("PYTHONWARNINGS", "ignore::FutureWarning,ignore::DeprecationWarning")


def _sign_of_life(arguments: Sequence[str]) -> AbstractContextManager[None]:
    words = list(takewhile(lambda word: not word.startswith("-"), arguments))[:3]
    # The demo shows what happens from its first moment on.
    return contextlib.nullcontext() if words[:1] in ([], ["demo"]) else sign_of_life(f"plumbline {' '.join(words)}")


def _completed_words() -> list[str]:
    """What stands on the line that a shell wants completed; the shells' functions pass it in these variables."""
    return (os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS") or "").split()[1:]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


def _whole(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Features, training, serving, monitoring, and the loop that closes over them."""


def _version() -> None:
    """Prints the version."""
    typer.echo(__version__)


def _settings_schema() -> None:
    """Prints the JSON Schema of the settings."""
    typer.echo(json.dumps(Settings.model_json_schema(), indent=2))


class _Group(TyperGroup):
    """Lists each command with its whole first sentence, however many lines that takes."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, each.get_short_help_str(sys.maxsize)) for name, each in commands if each and not each.hidden]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)


def _list_whole(app: typer.Typer) -> None:
    for group in app.registered_groups:
        group.cls = _Group
        if group.typer_instance is not None:
            _list_whole(group.typer_instance)


def _summary(point: EntryPoint) -> str:
    """The help of a part's commands, `app = typer.Typer(help=...)`, read without importing what the part needs."""
    spec = importlib.util.find_spec(point.module)
    if spec is None or spec.origin is None:
        return "Not installed."
    for node in ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == point.attr:
            assert isinstance(node.value, ast.Call)
            return next((ast.literal_eval(each.value) for each in node.value.keywords if each.arg == "help"), "")
    return ""


def _flush() -> None:
    """What a buffer still holds is written while an error of it can be told; a closed output is None."""
    if sys.stdout is None:
        raise UserError(OUTPUT_CLOSED)
    sys.stdout.flush()


def _fail(error: PlumblineError) -> None:
    sys.stderr.write(f"plumbline: {error}\n")
    try:
        _flush()
    except (UserError, OSError):  # Python would try again at its end, and end with a code of its own
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(error.exit_code)
