"""Locks between the processes of a machine. The kernel frees them however their holder ends, also after `kill -9`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_POLL_SECONDS = 0.01


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Holds a lock file for the length of the block, after waiting for it. The file stays; its content is nobody's.

    Args:
        path: The lock file; made, with its folder, where it is missing.

    Raises:
        OSError: The file cannot be written, or its file system has no locks.
    """
    with _lock(path, wait=True):
        yield


@contextmanager
def try_exclusive(path: Path) -> Iterator[bool]:
    """Like `exclusive`, but does not wait: the block is told whether it holds the lock."""
    with _lock(path, wait=False) as held:
        yield held


def lock_file(descriptor: int, *, wait: bool = True) -> bool:
    """Locks an open file itself, until it is closed. For data whose lock must go where the file goes.

    Args:
        descriptor: Of the file; the caller goes on owning it.
        wait: Whether to wait for another holder.

    Returns:
        Whether the caller holds the lock.

    Raises:
        OSError: The file system has no locks.
    """
    from filelock import lock_descriptor

    return lock_descriptor(descriptor, blocking=wait, poll_interval=_POLL_SECONDS)


@contextmanager
def _lock(path: Path, *, wait: bool) -> Iterator[bool]:
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    # The library's substitute, a file that marks the lock, would outlive a killed holder.
    lock = FileLock(path, fallback_to_soft=False)
    try:
        lock.acquire(blocking=wait, poll_interval=_POLL_SECONDS)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
