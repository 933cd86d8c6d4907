"""Command lines of child processes."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def module_line(module: str, *arguments: str) -> list[str]:
    """Runs a module with this process's Python, whatever lies in the working folder.

    `python -m` alone would look for imports there first, and find a user's `serving/` or `random.py`. What the child
    itself starts is kept from it by PYTHONSAFEPATH, which the command line sets (`plumbline.cli.main`).
    """
    return [sys.executable, "-P", "-m", module, *arguments]


_ONCE_RELEASED = "import os, sys; sys.stdin.buffer.read(1) and os.execv(sys.argv[1], sys.argv[1:])"


def held_line(line: Sequence[str]) -> list[str]:
    """Becomes the given command once a byte comes on its standard input, and ends where that is closed before.

    So whoever starts it can write its process down first: where the starter is killed in between, the pipe ends, and
    there is no process that nobody knows of.
    """
    return [sys.executable, "-I", "-S", "-c", _ONCE_RELEASED, *line]


def plumbline_line(*arguments: str) -> list[str]:
    """Runs a `plumbline` command."""
    return module_line("plumbline", *arguments)
