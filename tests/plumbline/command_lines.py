"""The command line as it is, and every place in the sources and the documentation that speaks of it."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import typer

from plumbline.cli.main import COMMAND_GROUP, build_app

REPOSITORY = Path(__file__).resolve().parent.parent.parent
SOURCES = ("platform", "feature_repo", "pipelines", "serving", "monitoring")

USAGE_ERROR: Any = typer.BadParameter.__base__
"""Of all that may be wrong with a line."""


@cache
def commands() -> dict[tuple[str, ...], Any]:
    """Every command by its words, groups left out."""
    found: dict[tuple[str, ...], Any] = {}
    for group in [None, *sorted(point.name for point in entry_points(group=COMMAND_GROUP))]:
        root: Any = typer.main.get_command(build_app([group] if group else []))
        for name, command in root.commands.items():
            if group == name or (group is None and not hasattr(command, "commands")):
                found.update(_below(command, (name,)))
    return found


def _below(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if hasattr(command, "commands"):
        for name, inner in command.commands.items():
            yield from _below(inner, (*words, name))
    else:
        yield words, command


def command_of(words: list[str]) -> tuple[Any, list[str]] | None:
    """The command that a line names and what follows its name; a group alone stands for all that it holds."""
    for length in range(min(3, len(words)), 0, -1):
        if (command := commands().get(tuple(words[:length]))) is not None:
            return command, words[length:]
    return None


def is_group(words: list[str]) -> bool:
    """Whether the words name a group of commands."""
    return any(path[: len(words)] == tuple(words) and len(path) > len(words) for path in commands())


def options_of(command: Any) -> set[str]:
    """Every option that a command takes, in all its spellings."""
    spelled = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    return spelled | {"-h", "--help"}


def texts() -> Iterator[tuple[str, str]]:
    """Place and text of every string in the sources (values inside as `X`), and of the documentation."""
    for folder in SOURCES:
        for path in sorted((REPOSITORY / folder).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for node in ast.walk(tree):
                if (
                    isinstance(node, ast.JoinedStr | ast.Constant)
                    and node is not _docstring(tree)
                    and (text := _text(node))
                ):
                    yield f"{path.relative_to(REPOSITORY)}:{node.lineno}", text
    for path in [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]:
        text = path.read_text(encoding="utf-8")
        yield str(path.relative_to(REPOSITORY)), text


def _docstring(tree: ast.Module) -> ast.expr | None:
    """The module's own, which names commands without telling anybody to run them."""
    first = tree.body[0] if tree.body else None
    return first.value if isinstance(first, ast.Expr) else None


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    assert isinstance(node, ast.JoinedStr)
    return "".join(_text(part) if isinstance(part, ast.Constant) else "X" for part in node.values)


_LINE = re.compile(r"(?:`|\brun |: |^ *\$? *)plumbline ((?:\\\n|[^`\n])+)", re.MULTILINE)


def lines_in(text: str) -> Iterator[list[str]]:
    """The words after `plumbline` of each line that somebody may copy, up to an ellipsis or what the shell takes."""
    for match in _LINE.finditer(text):
        line = re.split(r"[;|>&#]| \.\.\.|, or |\. |\.$|, and ", match[1].replace("\\\n", " "))[0]
        try:
            words = shlex.split(line)
        except ValueError:
            words = line.split()
        known = words and (is_group(words[:1]) or command_of(words[:1]) is not None)
        if known or (match[0].startswith("`") and re.fullmatch(r"[a-z-]+", (words or [""])[0])):
            yield words
