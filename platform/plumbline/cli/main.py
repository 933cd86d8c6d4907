"""Entry point of `plumbline`: finds each part's commands, and turns errors into one sentence and an exit code."""

from __future__ import annotations

import errno
import os
import sys
from importlib.metadata import EntryPoint, entry_points

import click
import typer
from typer.core import TyperGroup

from plumbline import __version__
from plumbline.cli import doctor, status
from plumbline.cli import demo as demo_command
from plumbline.errors import DiskFullError, PlumblineError
from plumbline.settings import load_settings

COMMAND_GROUP = "plumbline.commands"


class _PartsGroup(TyperGroup):
    """Imports a part's commands only when they are called: `plumbline data` must not wait for Ray to import."""

    def _parts(self) -> dict[str, EntryPoint]:
        return {point.name: point for point in entry_points(group=COMMAND_GROUP)}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *self._parts()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        point = self._parts().get(cmd_name)
        if point is None:
            return super().get_command(ctx, cmd_name)
        return typer.main.get_command(point.load())

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own = [(name, command.get_short_help_str()) for name, command in self.commands.items()]
        parts = [(name, f"Commands of {point.module.split('.')[0]}.") for name, point in self._parts().items()]
        with formatter.section("Commands"):
            formatter.write_dl(sorted(own + parts))


app = typer.Typer(
    cls=_PartsGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Features, training, serving, monitoring, and the loop that closes over them.",
)
app.command("demo")(demo_command.demo)
app.command("status")(status.status)
app.command("doctor")(doctor.doctor)


@app.command("version")
def version() -> None:
    """Prints the version."""
    typer.echo(__version__)


@app.command("settings")
def settings_schema() -> None:
    """Prints the JSON Schema of the settings."""
    import json

    from plumbline.settings import Settings

    typer.echo(json.dumps(Settings.model_json_schema(), indent=2))


def main() -> None:
    """Runs the command line; exit codes are those of `plumbline.errors`."""
    os.environ.setdefault("PYTHONWARNINGS", "ignore::FutureWarning,ignore::DeprecationWarning")
    try:
        load_settings()
        app()
    except PlumblineError as error:
        _fail(error)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            where = error.filename or "the disk"
            _fail(DiskFullError(f"No room left on {where}. Free some space, or point PLUMBLINE_HOME to a larger disk."))
        raise


def _fail(error: PlumblineError) -> None:
    sys.stderr.write(f"plumbline: {error}\n")
    sys.exit(error.exit_code)
