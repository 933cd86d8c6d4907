from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
import uuid
from pathlib import Path

import pytest

from plumbline.errors import PortBusyError
from plumbline.process.marks import RUN_VARIABLE, marked_processes, stop_marked
from plumbline.process.memory import PeakMemory
from plumbline.process.ports import require_free_port


def _start_marked(run_id: str, code: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, RUN_VARIABLE: run_id},
        start_new_session=True,
    )


def _wait_until_gone(run_id: str, seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while marked_processes(run_id) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert marked_processes(run_id) == []


def test_a_process_that_ignores_the_request_is_killed() -> None:
    run_id = uuid.uuid4().hex
    child = _start_marked(
        run_id,
        """
        import signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(60)
        """,
    )
    deadline = time.monotonic() + 10
    while not marked_processes(run_id) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)  # until it ignores the signal
    assert stop_marked(run_id, grace_seconds=0.5) >= 1
    assert child.wait(5) == -signal.SIGKILL


def test_orphans_of_a_killed_run_are_ended(tmp_path: Path) -> None:
    run_id = uuid.uuid4().hex
    run = subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent(
                f"""
                import os, subprocess, sys, time
                from plumbline.process.watchdog import Watchdog
                with Watchdog({run_id!r}):
                    subprocess.Popen(
                        [sys.executable, "-c", "import time; time.sleep(60)"],
                        env={{**os.environ, {RUN_VARIABLE!r}: {run_id!r}}},
                        start_new_session=True,
                    )
                    open({str(tmp_path / "started")!r}, "w").close()
                    time.sleep(60)
                """
            ),
        ]
    )
    deadline = time.monotonic() + 20
    while not (tmp_path / "started").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert marked_processes(run_id)
    run.kill()
    run.wait()
    _wait_until_gone(run_id)


def test_a_taken_port_is_refused_with_the_setting() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(PortBusyError, match=f"{port}.*PLUMBLINE_SERVING__PORT"):
            require_free_port("127.0.0.1", port, "PLUMBLINE_SERVING__PORT")
    require_free_port("127.0.0.1", port, "PLUMBLINE_SERVING__PORT")


def test_peak_memory_counts_the_children() -> None:
    run_id = uuid.uuid4().hex
    with PeakMemory(run_id) as memory:
        child = _start_marked(run_id, "import time; block = bytearray(300 * 1024 * 1024); time.sleep(4)")
        child.wait()
    assert memory.peak_mb > 300
