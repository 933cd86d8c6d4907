"""One controller works on a state; who that is, and whether it still does.

The kernel drops the lock however its holder ends. What the holder wrote beside it stays, so that a controller that has
died is known by name.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from plumbline import paths
from plumbline.errors import UserError
from plumbline.files import atomic_write
from plumbline.locks import try_exclusive
from plumbline.settings import Settings

_ASKED_SECONDS = 2.0
"""`holder_of` takes the lock for an instant; a controller that starts at that instant asks again for so long."""

_TRIES = 20


@dataclass(frozen=True)
class Holder:
    """A controller.

    Attributes:
        pid: Its process, on its machine; 0 while it is about to write its name.
        host: Its machine, or its pod.
        since: When it began to work, ISO 8601, UTC.
    """

    pid: int
    host: str
    since: str


@contextmanager
def only_one(settings: Settings) -> Iterator[None]:
    """Holds the lock: two controllers on one state would both train.

    Raises:
        UserError: Another controller works on the state.
    """
    for _ in range(_TRIES):
        with try_exclusive(_lock(settings)) as held:
            if held:
                _write(settings, Holder(os.getpid(), socket.gethostname(), datetime.now(UTC).isoformat()))
                yield
                return
        time.sleep(_ASKED_SECONDS / _TRIES)
    holder = last_holder(settings)
    known = "" if holder is None else f" (process {holder.pid} on {holder.host}, since {holder.since})"
    raise UserError(
        f"Another controller works on {_lock(settings).parent}{known}. Stop it, or give this one another "
        "PLUMBLINE_HOME."
    )


def holder_of(settings: Settings) -> Holder | None:
    """The controller that works on the state now; None where none does."""
    if not _lock(settings).is_file():
        return None
    for _ in range(2):  # two that ask at the same instant would each take the other for a controller
        with try_exclusive(_lock(settings)) as free:
            if free:
                return None
        time.sleep(_ASKED_SECONDS / _TRIES)
    return last_holder(settings) or Holder(0, "?", "?")  # it has the lock and is about to write its name


def last_holder(settings: Settings) -> Holder | None:
    """The controller that works on the state, or the last that did; None where none is known."""
    try:
        return Holder(**json.loads(_name(settings).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def _lock(settings: Settings) -> Path:
    return paths.controller_dir(settings) / "controller.lock"


def _name(settings: Settings) -> Path:
    return paths.controller_dir(settings) / "controller.json"


def _write(settings: Settings, holder: Holder) -> None:
    with atomic_write(_name(settings)) as path:
        path.write_text(json.dumps(vars(holder)), encoding="utf-8")
