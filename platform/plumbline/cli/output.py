"""How commands speak: results on standard output (JSON on request), progress on standard error."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from plumbline.process.progress import Running, shown

JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]


def _words(given: str) -> str:
    if not given.strip():
        raise typer.BadParameter("The audit log needs a reason in words.")
    return given


ReasonOption = Annotated[str, typer.Option(callback=_words, help="Why; goes to the audit log.")]


STANDARD_OUTPUT = "standard output"
"""Stands as the file's name in an error of writing there."""


class _NamedOutput(io.FileIO):
    def write(self, content: Any, /) -> int:
        try:
            return super().write(content)
        except OSError as error:
            error.filename = STANDARD_OUTPUT
            raise


def name_output() -> None:
    """From now on an error of writing to standard output says so: else it could be any file's."""
    old = sys.stdout
    if old is sys.__stdout__ and isinstance(old, io.TextIOWrapper):
        raw = _NamedOutput(old.fileno(), "wb", closefd=False)
        sys.stdout = io.TextIOWrapper(
            raw if old.write_through else io.BufferedWriter(raw),  # as Python's own is with -u
            encoding=old.encoding,
            errors=old.errors,
            line_buffering=old.line_buffering,
            write_through=old.write_through,
        )


_waiting = ExitStack()


@contextmanager
def sign_of_life(command: str) -> Iterator[None]:
    """Shows a command by its name and for how long it has run, from two seconds on until it shows something itself."""
    _waiting.enter_context(shown(Console(stderr=True, highlight=False, markup=False), command, patient=True))
    try:
        yield
    finally:
        first_sign()


def first_sign() -> None:
    """The command shows something itself."""
    _waiting.close()


class _ProgressConsole(Console):
    def print(self, *objects: Any, **how: Any) -> None:
        first_sign()
        super().print(*objects, **how)


# No markup: `plumbline[serving]` and a path with brackets are text.
progress_console = _ProgressConsole(stderr=True, highlight=False, markup=False)


def examples(*lines: str) -> str:
    """The examples at the end of a command's help, as its `epilog`; tests read them as they stand."""
    return "\b\n" + "\n".join(("Example:" if len(lines) == 1 else "Examples:", *(f"  {line}" for line in lines)))


def print_json(result: Mapping[str, Any]) -> None:
    """Writes one JSON object to standard output. Times become ISO 8601 text."""
    first_sign()
    sys.stdout.write(json.dumps(result, indent=2, default=str, ensure_ascii=False, allow_nan=False) + "\n")
    sys.stdout.flush()


def print_text(text: str) -> None:
    """Writes text to standard output."""
    first_sign()
    typer.echo(text)


def print_result(result: Mapping[str, Any], *, as_json: bool, title: str) -> None:
    """Prints a result as JSON or as a two-column table; a group inside gets a row for each of its values."""
    if as_json:
        print_json(result)
        return
    table = Table(title=title, show_header=False, title_justify="left")
    for name, value in _flat(result):
        table.add_row(name, _cell(value))
    _print(table)


def print_rows(rows: Sequence[Mapping[str, Any]], *, as_json: bool, title: str) -> None:
    """Prints rows as `{"rows": [...]}` or as a table with the first row's keys as its header."""
    if as_json:
        print_json({"rows": rows})
        return
    table = Table(title=title, title_justify="left")
    for name in rows[0] if rows else ():
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*map(_cell, row.values()))
    _print(table if rows else f"{title}: none")


_UNLIMITED = 100_000


def _print(what: Table | str) -> None:
    """A terminal folds what is too wide for it; in a pipe or a file nothing is."""
    first_sign()
    width = None if sys.stdout.isatty() else _UNLIMITED
    Console(highlight=False, markup=False, width=width).print(what)


def _flat(result: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in result.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _cell(value: object) -> str:
    if value is None or value in ({}, [], ()):
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_cell(inner)}" for name, inner in value.items())
    if isinstance(value, list | tuple):
        return ("; " if isinstance(value[0], Mapping) else ", ").join(map(_cell, value))
    return str(value)


@contextmanager
def step(text: str) -> Iterator[Running]:
    """Shows what is being done, for how long, and what happens inside; then how long it took."""
    first_sign()
    with shown(progress_console, text) as running:
        yield running
    progress_console.print(f"  {text}: {running.seconds:.1f} s", soft_wrap=True)
