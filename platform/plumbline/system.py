"""What differs between operating systems, each in one place, with a substitute where a system lacks it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

from plumbline.errors import UserError

_MOST_FILES = 65_536
_MACOS_MOST_FILES = 10_240
"""macOS refuses a limit above OPEN_MAX, whatever it says the hard limit is (setrlimit(2) there)."""


def require_supported() -> None:
    """Refuses a system on which nothing here can work, before anything fails at a name that it lacks.

    Raises:
        UserError: This is Windows itself.
    """
    if sys.platform == "win32":
        raise UserError(
            "Plumbline runs on Linux and macOS. On Windows, install it inside WSL2, the Linux that Windows brings: "
            "run `wsl --install`, and then the same commands there."
        )


def is_wsl() -> bool:
    """Whether this Linux is the one inside Windows (WSL2)."""
    return "microsoft" in platform.uname().release.lower()


def usable_cores() -> int:
    """Cores that this process may use; on systems without affinity, those that the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor_name() -> str:
    """The processor's name as the system gives it; its architecture where it gives none."""
    if sys.platform == "darwin":
        line = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(line, capture_output=True, text=True, check=False).stdout.strip() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def sync_data(descriptor: int) -> None:
    """Forces a file's content to the disk; its times too on systems that do not tell the two apart."""
    if hasattr(os, "fdatasync"):
        os.fdatasync(descriptor)
    else:
        os.fsync(descriptor)


def raise_open_files() -> int:
    """Raises the process's limit of open files as far as it may be raised.

    Returns:
        The limit that holds now.
    """
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else hard
    if sys.platform == "darwin":
        wanted = min(wanted, _MACOS_MOST_FILES)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return max(soft, wanted)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def peak_memory_mib() -> float:
    """Largest resident memory of this process so far, MiB. The system counts it in KiB on Linux, in bytes on macOS."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)
