"""Ties the steps of a local run to the process that runs them: when it is gone, however it went, they end.

The local runner starts each step through a shell that outlives it. An orphan would go on training, and could
register a model that nobody asked for any more.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from plumbline import paths
from plumbline.errors import UserError
from plumbline.files import atomic_write
from plumbline.locks import try_exclusive
from plumbline.settings import Settings

_SECONDS_BETWEEN_LOOKS = 0.5


@contextmanager
def only_run(settings: Settings) -> Iterator[None]:
    """Marks this process as the one runner under its `home` for the length of the block.

    Steps share the feature views, and a run cleans up after killed ones: one pipeline at a time.

    Raises:
        UserError: Another pipeline runs there.
    """
    path = _mark_file(settings)
    with try_exclusive(path.with_suffix(".lock")) as held:
        if not held:
            raise UserError(
                f"Another pipeline runs under {settings.home}. Wait for its end, or set PLUMBLINE_HOME to another "
                "folder."
            )
        with atomic_write(path) as mark:
            mark.write_text(f"{os.getpid()} {psutil.Process().create_time()}")
        yield


def end_with_runner(settings: Settings) -> None:
    """Ends this process soon after the runner of the local run has ended; does nothing on a cluster.

    A cluster's runtime ends the processes of a step itself.
    """
    path = _mark_file(settings)
    if settings.profile != "local" or not path.is_file():
        return
    pid, started = path.read_text().split()

    def watch() -> None:
        while _lives(int(pid), float(started)):
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="end-with-runner", daemon=True).start()


def _lives(pid: int, started: float) -> bool:
    try:
        process = psutil.Process(pid)
        return process.create_time() == started and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _mark_file(settings: Settings) -> Path:
    return paths.pipelines_dir(settings) / "runner"
