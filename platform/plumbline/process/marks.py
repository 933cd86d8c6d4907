"""Processes that belong to one run, found by a mark in their environment.

Parent-child links are not enough: Ray's daemons and its workers are re-parented and start sessions of their
own. Every process that a run starts, however deep, inherits the variable that marks it.
"""

from __future__ import annotations

import os
import signal
import time

import psutil

RUN_VARIABLE = "PLUMBLINE_RUN_ID"


def marked_processes(run_id: str) -> list[psutil.Process]:
    """Living processes of the run, without the caller itself."""
    found = []
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        try:
            if process.environ().get(RUN_VARIABLE) == run_id and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue  # gone in the meantime, or another user's: neither is ours to stop
    return found


def stop_marked(run_id: str, *, grace_seconds: float) -> int:
    """Asks every process of the run to end, and kills what is left after the grace period.

    New processes that appear while stopping are stopped too.

    Returns:
        How many processes had to be killed.
    """
    for process in marked_processes(run_id):
        _send(process, signal.SIGTERM)
    deadline = time.monotonic() + grace_seconds
    while time.monotonic() < deadline:
        if not marked_processes(run_id):
            return 0
        time.sleep(0.1)
    killed = 0
    for _ in range(50):
        left = marked_processes(run_id)
        if not left:
            break
        for process in left:
            killed += _send(process, signal.SIGKILL)
        time.sleep(0.1)
    return killed


def _send(process: psutil.Process, number: signal.Signals) -> int:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return 0
    return 1
