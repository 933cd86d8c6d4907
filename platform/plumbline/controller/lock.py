"""One controller works on a state; who that is, and whether it still does.

The kernel drops the lock however its holder ends. What the holder wrote into the file stays, so that a controller that
has died is known by name.
"""

from __future__ import annotations

import fcntl
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
from plumbline.settings import Settings

_ASKED_SECONDS = 2.0
"""`holder_of` takes the lock for an instant; a controller that starts at that instant asks again for so long."""


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
    path = _file(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _lock(descriptor, path)
        holder = Holder(os.getpid(), socket.gethostname(), datetime.now(UTC).isoformat())
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(vars(holder)).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def holder_of(settings: Settings) -> Holder | None:
    """The controller that works on the state now; None where none does."""
    path = _file(settings)
    if not _is_held(path):
        return None
    return _written(path) or Holder(0, "?", "?")  # it has the lock and is about to write its name


def last_holder(settings: Settings) -> Holder | None:
    """The controller that works on the state, or the last that did; None where none is known."""
    return _written(_file(settings))


def _file(settings: Settings) -> Path:
    return paths.controller_dir(settings) / "controller.lock"


def _lock(descriptor: int, path: Path) -> None:
    deadline = time.monotonic() + _ASKED_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() < deadline:
                time.sleep(_ASKED_SECONDS / 20)
                continue
            holder = _written(path)
            known = "" if holder is None else f" (process {holder.pid} on {holder.host}, since {holder.since})"
            raise UserError(
                f"Another controller works on {path.parent}{known}. Stop it, or give this one another PLUMBLINE_HOME."
            ) from error
        return


def _is_held(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _written(path: Path) -> Holder | None:
    try:
        return Holder(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None  # none was here yet, or one is about to write
