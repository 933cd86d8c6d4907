"""Names the machine that figures were taken on."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import psutil

_GIB = 1024**3


def describe_machine() -> dict[str, str | int | float]:
    """Processor, cores that this process may use, memory (GiB), operating system and Python."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(psutil.virtual_memory().total / _GIB, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
