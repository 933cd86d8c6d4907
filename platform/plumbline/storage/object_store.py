"""The seam between Plumbline and where its immutable objects lie."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from plumbline import paths
from plumbline.settings import Settings


class ObjectStore(Protocol):
    """Named, immutable bytes. Keys are relative POSIX paths such as `snapshots/ab12/postings.parquet`."""

    def put(self, key: str, content: bytes) -> str:
        """Writes the object whole or not at all; returns its address.

        Raises:
            DiskFullError: The folder's disk has no room.
            DependencyError: The S3 endpoint did not take it.
        """
        ...

    def get(self, key: str) -> bytes:
        """Reads the object.

        Raises:
            MissingInputError: There is no object under this key.
            DependencyError: The S3 endpoint did not answer.
        """
        ...

    def exists(self, key: str) -> bool:
        """Whether there is an object under this key."""
        ...

    def delete(self, key: str) -> None:
        """Takes the object away; one that is not there is none to take away.

        Raises:
            DependencyError: The S3 endpoint did not answer.
        """
        ...

    def list(self, prefix: str) -> Iterator[str]:
        """Keys that start with `prefix`, sorted."""
        ...


def open_store(settings: Settings) -> ObjectStore:
    """The store that the settings name: a bucket when there is one, else the folder under `home`."""
    if settings.store.bucket is not None:
        from plumbline.storage.s3 import S3Store

        return S3Store(settings.store)
    from plumbline.storage.folder import FolderStore

    return FolderStore(paths.objects_dir(settings))
