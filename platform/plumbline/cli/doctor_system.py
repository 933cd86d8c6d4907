"""What `plumbline doctor` says of the operating system and of Python."""

from __future__ import annotations

import platform
import shutil
import sys
from pathlib import Path

from plumbline.cluster.finding import Finding
from plumbline.settings import Settings
from plumbline.system import is_wsl

PYTHONS = ((3, 11), (3, 13))
"""Oldest and newest Python that every library of the lock files has wheels for; as `requires-python` says."""

_MIB = 1024**2
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - looked at, never written to
_NOT_TRIED = "The packages of the lock files exist for it; run `make test` there before you rely on it."


def system(settings: Settings) -> Finding:
    """Which operating system this is, and what of it was tried."""
    return _macos() if sys.platform == "darwin" else _linux(settings)


def _macos() -> Finding:
    found = f"macOS {platform.mac_ver()[0]} on {platform.machine()}"
    if platform.machine() != "arm64":
        return Finding("system", "problem", found, "Ray has no wheels for Macs with Intel processors: use Linux.")
    return Finding(
        "system", "warning", f"{found}, not tried",
        f"{_NOT_TRIED} Load is sent by a timer that is about 1 ms late.",
    )  # fmt: skip


def _linux(settings: Settings) -> Finding:
    found = f"{'WSL2' if is_wsl() else 'Linux'} on {platform.machine()}"
    if platform.libc_ver()[0] != "glibc":
        advice = "Ray and PyTorch have no wheels for it: use a Linux with glibc, such as Debian."
        return Finding("system", "problem", f"{found}, without glibc", advice)
    if is_wsl() and settings.home.absolute().parts[:2] == ("/", "mnt"):
        return Finding(
            "system", "problem", f"{found}, and {settings.home} lies on a Windows disk",
            "Set PLUMBLINE_HOME to a folder inside WSL: files of Windows are slow, and not locked as Linux's are.",
        )  # fmt: skip
    if is_wsl() or platform.machine() != "x86_64":
        return Finding("system", "warning", f"{found}, not tried", _NOT_TRIED)
    return Finding("system", "ok", found, "")


def python(_: Settings) -> Finding:
    """Whether this Python is one that everything has wheels for."""
    found = ".".join(map(str, sys.version_info[:3]))
    good = PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]
    oldest, newest = (".".join(map(str, each)) for each in PYTHONS)
    return Finding("python", "ok" if good else "problem", found, "" if good else f"Use Python {oldest} to {newest}.")


def shared_memory(settings: Settings) -> Finding:
    """Whether Ray's object store has room in memory; without it Ray takes the disk, without a word in our log."""
    if not _SHARED_MEMORY.is_dir():
        return Finding("shared memory", "ok", "this system has no /dev/shm, Ray needs none here", "")
    size = shutil.disk_usage(_SHARED_MEMORY).total / _MIB
    needed = settings.serving.object_store_mb
    advice = "" if size >= needed else (
        f"Serving wants {needed} MiB there: give the container more (docker run --shm-size), or lower "
        "PLUMBLINE_SERVING__OBJECT_STORE_MB."
    )  # fmt: skip
    return Finding("shared memory", "warning" if advice else "ok", f"{size:.0f} MiB in {_SHARED_MEMORY}", advice)
