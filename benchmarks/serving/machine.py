"""What a benchmark ran on."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from typing import Any

import psutil

from plumbline.system import processor_name, usable_cores


def machine() -> Mapping[str, Any]:
    """Processors that this process may use, memory (GiB), system, and how busy it was."""
    return {
        "processors": usable_cores(),
        "processor": processor_name(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_average": [round(value, 2) for value in os.getloadavg()],
    }
