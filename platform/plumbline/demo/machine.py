"""Names the machine that figures were taken on."""

from __future__ import annotations

import platform

import psutil

from plumbline.system import processor_name, usable_cores

_GIB = 1024**3


def describe_machine() -> dict[str, str | int | float]:
    """Processor, cores that this process may use, memory (GiB), operating system and Python."""
    return {
        "processor": processor_name(),
        "cores": usable_cores(),
        "memory_gib": round(psutil.virtual_memory().total / _GIB, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
    }
