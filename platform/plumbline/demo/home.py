"""The demo's own state: where it lies, and that a run starts from a clean one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from plumbline.errors import UserError
from plumbline.locks import try_exclusive

MARKER = ".made-by-demo"


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
