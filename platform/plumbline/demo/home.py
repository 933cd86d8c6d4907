"""The demo's own state: where it lies, and that a run starts from a clean one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from plumbline.errors import UserError
from plumbline.locks import try_exclusive
from plumbline.process.marks import RUN_VARIABLE
from plumbline.settings import Settings

MARKER = ".made-by-demo"


def require_unused(home: Path) -> None:
    """Refuses a home that commands work on, such as an endpoint that was started by hand.

    Commands of other users or machines are not seen; those of a demo that was killed are ended by its watchdog.

    Raises:
        UserError: A `plumbline` command runs there; it is named.
    """
    ours = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    for process in psutil.process_iter():
        try:
            if process.pid not in ours and (command := _command(process)) and _home(process) == home.resolve():
                raise UserError(
                    f"`plumbline {' '.join(command)}` (process {process.pid}) works on {home}, which the demo would "
                    "empty. Stop it, or set PLUMBLINE_HOME to another folder for the demo."
                )
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue  # it has ended meanwhile, or is another user's


def _command(process: psutil.Process) -> list[str]:
    """The words after `plumbline`, if the process is that command."""
    line = process.cmdline()
    for number, word in enumerate(line[:4]):
        if Path(word).name == "plumbline" and (number < 2 or line[number - 1] == "-m"):
            return line[number + 1 :]
    return []


def _home(process: psutil.Process) -> Path | None:
    variables = process.environ()
    if RUN_VARIABLE in variables:
        return None
    given = variables.get("PLUMBLINE_HOME") or Settings.model_fields["home"].default
    return (Path(process.cwd()) / given).resolve()


def fresh_home(home: Path) -> None:
    """Empties the state that an earlier demo left; state of any other making is never touched.

    Raises:
        UserError: `home` holds state that no demo made.
    """
    if home.exists() and any(home.iterdir()) and not (home / MARKER).exists():
        raise UserError(
            f"{home} holds state that the demo did not make, and the demo starts from empty state. "
            "Set PLUMBLINE_HOME to another folder for the demo, or move this one away."
        )
    if home.exists():
        # The marker goes last: a run that is killed while it cleans up leaves a folder that the next may clean.
        for entry in home.iterdir():
            if entry.name == MARKER:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
    home.mkdir(parents=True, exist_ok=True)
    (home / MARKER).touch()


@contextmanager
def only_run(home: Path) -> Iterator[None]:
    """Holds the lock of `home`; the kernel releases it when the run ends, however it ends.

    Raises:
        UserError: Another demo runs on the same home.
    """
    with try_exclusive(home.with_name(home.name + ".lock")) as held:
        if not held:
            raise UserError(
                f"Another demo is running on {home}. Wait for it, stop it, or set PLUMBLINE_HOME to another folder."
            )
        yield
