"""Command lines of child processes."""

from __future__ import annotations

import sys


def module_line(module: str, *arguments: str) -> list[str]:
    """Runs a module with this process's Python, whatever lies in the working folder.

    `python -m` alone would look for imports there first, and find a user's `serving/` or `random.py`. What the child
    itself starts is kept from it by PYTHONSAFEPATH, which the command line sets (`plumbline.cli.main`).
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def plumbline_line(*arguments: str) -> list[str]:
    """Runs a `plumbline` command."""
    return module_line("plumbline", *arguments)
