"""Objects as files of a folder. A write is atomic: a temporary file, synced, then renamed."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

from plumbline.errors import DiskFullError, MissingInputError, UserError
from plumbline.files import INCOMING, atomic_write


class FolderStore:
    """Object store in a folder of this machine."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, key: str, content: bytes) -> str:
        """See `ObjectStore.put`."""
        target = self._path(key)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(target, durable=True) as path:
                path.write_bytes(content)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFullError(
                    f"No room on the disk of {self._root} for {key} ({len(content)} bytes). "
                    "Free some space, or point PLUMBLINE_HOME to a larger disk."
                ) from error
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR):
                raise UserError(
                    f"{self._root} cannot be written to ({error.strerror}). Point PLUMBLINE_HOME to a folder of yours."
                ) from error
            raise
        return target.as_uri()

    def get(self, key: str) -> bytes:
        """See `ObjectStore.get`."""
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError as error:
            raise MissingInputError(f"There is no object {key} in {self._root}.") from error

    def exists(self, key: str) -> bool:
        """See `ObjectStore.exists`."""
        return self._path(key).is_file()

    def delete(self, key: str) -> None:
        """See `ObjectStore.delete`."""
        self._path(key).unlink(missing_ok=True)

    def list(self, prefix: str) -> Iterator[str]:
        """See `ObjectStore.list`."""
        # Only the deepest folder that the prefix names is walked: logs beside snapshots may hold many files.
        folder = self._path(prefix.rpartition("/")[0]) if "/" in prefix else self._root
        keys = (
            path.relative_to(self._root).as_posix()
            for path in folder.rglob("*")
            if path.is_file() and not path.name.startswith(INCOMING)
        )
        yield from sorted(key for key in keys if key.startswith(prefix))

    def _path(self, key: str) -> Path:
        if key.startswith("/") or ".." in key.split("/"):
            raise UserError(f"{key!r} is not a valid object key: use a relative path without '..'.")
        return self._root / key
