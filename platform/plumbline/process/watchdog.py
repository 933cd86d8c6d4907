"""Ends everything that a run has started once the run itself is gone, however it went.

The run holds the write end of a pipe that is this process's standard input. When the run ends, even by
SIGKILL, the kernel closes the pipe, the read below returns, and the rest of the run is stopped.
"""

from __future__ import annotations

import os
import subprocess
import sys
from types import TracebackType

from plumbline.process.children import module_line
from plumbline.process.marks import RUN_VARIABLE, stop_marked

GRACE_SECONDS = 3.0


class Watchdog:
    """Context in which every process marked with `run_id` ends when this process ends."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Watchdog:
        environment = {name: value for name, value in os.environ.items() if name != RUN_VARIABLE}
        self._process = subprocess.Popen(
            module_line("plumbline.process.watchdog", self._run_id),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,  # a Ctrl-C or a kill of the run's process group must not reach it
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        process.wait()
        stop_marked(self._run_id, grace_seconds=GRACE_SECONDS)  # in case the watchdog itself was killed


def _main() -> None:
    run_id = sys.argv[1]
    while os.read(sys.stdin.fileno(), 4096):
        pass
    stop_marked(run_id, grace_seconds=GRACE_SECONDS)


if __name__ == "__main__":
    _main()
