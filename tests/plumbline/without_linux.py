"""Run as a program: takes away what Linux alone has, and then does a little of everything.

    without_linux.py HOME

Prints a JSON object of what came out. The names are those that macOS does not have; where the system is asked for by
name (`sys.platform`), it stays Linux.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import json
import os
import signal
import socket
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

OF_LINUX: dict[Any, tuple[str, ...]] = {
    os: (
        "sched_getaffinity", "sched_setaffinity", "sched_getparam", "sched_setscheduler", "fdatasync", "eventfd",
        "timerfd_create", "timerfd_settime", "timerfd_settime_ns", "memfd_create", "posix_fadvise", "posix_fallocate",
        "splice", "copy_file_range", "pidfd_open", "unshare", "setns", "getrandom", "pipe2", "O_DIRECT", "O_TMPFILE",
        "O_PATH", "O_NOATIME", "getxattr", "setxattr", "setresuid", "getresuid",
    ),
    signal: ("sigtimedwait", "sigwaitinfo", "pidfd_send_signal", "SIGRTMIN", "SIGRTMAX", "SIGPOLL", "SIGPWR", "SIGCLD"),
    socket: (
        "AF_NETLINK", "AF_PACKET", "SO_PEERCRED", "SO_BINDTODEVICE", "TCP_USER_TIMEOUT", "TCP_QUICKACK", "SOCK_CLOEXEC",
        "SOCK_NONBLOCK",
    ),
    time: ("CLOCK_BOOTTIME", "CLOCK_TAI", "pthread_getcpuclockid"),
    psutil.Process: ("cpu_affinity", "io_counters", "rlimit", "ionice", "cpu_num"),
}  # fmt: skip
FOLDERS = ("/proc/", "/sys/", "/dev/shm/")
OURS = ("plumbline", "serving", "monitoring", "pipelines", "feature_repo")


def take_away() -> None:
    """Removes the names, and refuses our own code the files that only Linux has."""
    for holder, names in OF_LINUX.items():
        for name in names:
            if hasattr(holder, name):
                delattr(holder, name)
    library = ctypes.CDLL

    class WithoutTimers(library):  # type: ignore[misc,valid-type]
        def __getattr__(self, name: str) -> Any:
            if name.startswith(("timerfd", "eventfd", "epoll")):
                raise AttributeError(name)
            return super().__getattr__(name)

    ctypes.CDLL = WithoutTimers  # type: ignore[misc,assignment]
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "open" or not str(arguments[0]).startswith(FOLDERS):
        return
    frame = sys._getframe(1)
    while frame.f_globals.get("__name__", "").partition(".")[0] in ("pathlib", "io", "codecs"):
        assert frame.f_back is not None
        frame = frame.f_back
    if frame.f_globals.get("__name__", "").partition(".")[0] in OURS:
        raise FileNotFoundError(f"{arguments[0]} is of Linux alone")


def main(home: Path) -> None:
    """The little of everything."""
    import numpy as np
    from scripted_server import Arrived, ScriptedServer, reply

    from plumbline.cli.main import main as plumbline
    from plumbline.demo.machine import describe_machine
    from plumbline.locks import exclusive, try_exclusive
    from plumbline.registry.audit_entries import FileEntries
    from serving.load.client import connection_limit, send_all
    from serving.load.precise_timer import timer_name
    from serving.prediction_log.spool import SpoolWriter
    from serving.telemetry.logs import LogRelay, SocketHandler

    sys.argv = ["plumbline", "data", "ingest", "--generate", "--rows", "1000", "--weeks", "8", "--json"]
    os.environ["PLUMBLINE_HOME"] = str(home)
    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):
        plumbline()

    async def answer(arrived: Arrived) -> bytes:
        return reply(arrived.body)

    due = np.arange(50) * 0.002
    with ScriptedServer(answer) as server:
        sent = send_all(server.url, [b"x"] * len(due), due, request_ids=list(map(str, due)), timeout=20)
    spool = SpoolWriter(home / "spool", segment_bytes=10, segment_seconds=1)
    full = spool.append(b"one line of the log\n")
    spool.maintain()
    spool.close()
    FileEntries(home / "audit.jsonl").add(b"{}", when=datetime.now(UTC))
    with exclusive(home / "lock"), try_exclusive(home / "lock") as twice:
        pass
    relay = LogRelay(home / "log.socket")
    SocketHandler(home / "log.socket").close()
    relay.close()
    result = {
        "postings": json.loads(said.getvalue())["rows"]["admitted"],
        "answered": int(sent.answered.sum()),
        "early": int((sent.lag < 0).sum()),
        "timer": timer_name(),
        "segment_full": full,
        "locked_twice": twice,
        "connections": connection_limit(),
        "machine": describe_machine(),
    }
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1] / "serving/load"))
    take_away()
    main(Path(sys.argv[1]))
