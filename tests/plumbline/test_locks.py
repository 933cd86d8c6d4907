"""Locks between processes: exclusive, tried once, and gone with their holder."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from plumbline.locks import exclusive, lock_file, try_exclusive

_HOLD = """
import sys
from pathlib import Path
from plumbline.locks import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""
_HOLD_DESCRIPTOR = """
import sys
from plumbline.locks import lock_file
with open(sys.argv[1], "rb") as file:
    assert lock_file(file.fileno())
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_elsewhere(path: Path, code: str = _HOLD) -> Iterator[subprocess.Popen[bytes]]:
    line = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        yield holder
        holder.kill()


def test_a_lock_that_another_process_holds_is_not_had(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "lock"
    with held_elsewhere(path), try_exclusive(path) as held:
        assert not held


def test_a_lock_is_free_once_its_holder_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with held_elsewhere(path) as holder:
        holder.kill()
        holder.wait()
        with try_exclusive(path) as held:
            assert held


def test_waiting_ends_with_the_holder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    got = threading.Event()

    def wait() -> None:
        with exclusive(path):
            got.set()

    with held_elsewhere(path) as holder:
        waiting = threading.Thread(target=wait)
        waiting.start()
        assert not got.wait(0.3)
        holder.kill()
        waiting.join()
    assert got.is_set()


def test_a_lock_is_given_back_when_its_block_fails(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="inside"), exclusive(tmp_path / "lock"):
        raise ValueError("inside")
    with try_exclusive(tmp_path / "lock") as held:
        assert held


def test_one_process_excludes_itself_too(tmp_path: Path) -> None:
    with exclusive(tmp_path / "lock"), try_exclusive(tmp_path / "lock") as held:
        assert not held


def test_the_content_of_a_lock_file_stays(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("kept")
    with exclusive(tmp_path / "lock"):
        pass
    assert (tmp_path / "lock").read_text() == "kept"


def test_a_file_system_without_locks_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that only marks the lock would stay behind a killed holder."""
    import errno
    import fcntl

    def none(*_: object) -> None:
        raise OSError(errno.ENOSYS, "no locks here")

    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.raises(OSError, match="no locks here"), exclusive(tmp_path / "lock"):
        pass


def test_a_data_file_is_locked_itself_until_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"line\n")
    with held_elsewhere(path, _HOLD_DESCRIPTOR) as holder:
        handle = os.open(path, os.O_RDONLY)
        assert not lock_file(handle, wait=False)
        holder.kill()
        holder.wait()
        assert lock_file(handle, wait=False)
        os.close(handle)
    assert path.read_bytes() == b"line\n"
