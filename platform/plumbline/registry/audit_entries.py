"""Where the audit log's entries lie: lines of one file, or objects of the bucket that every pod writes to."""

from __future__ import annotations

import json
import logging
import os
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from plumbline import paths
from plumbline.errors import DependencyError
from plumbline.locks import lock_file
from plumbline.settings import Settings
from plumbline.storage import ObjectStore, open_store

_log = logging.getLogger(__name__)

_ROOT = "audit"
_AT_ONCE = 8
"""Requests under way: a long log is mostly waiting for answers."""

_CLOCKS_DIFFER_BY = timedelta(days=1)


class Entries(Protocol):
    """Texts of JSON that are only ever added to."""

    def add(self, content: bytes, *, when: datetime) -> None:
        """Keeps one entry, durably before it returns."""
        ...

    def all(self, since: datetime | None = None) -> Iterator[tuple[str, bytes]]:
        """Every entry in the order of writing, with the name of the place where it lies; older ones may be left out."""
        ...


def open_entries(settings: Settings) -> Entries:
    """The bucket where one is configured: jobs, controller and people then write one log; else a file under `home`."""
    if settings.store.bucket is not None:
        return ObjectEntries(open_store(settings), unsent=paths.controller_dir(settings) / "audit-unsent.jsonl")
    return FileEntries(paths.controller_dir(settings) / "audit.jsonl")


class FileEntries:
    """One line each; safe for several processes of a machine at once."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, content: bytes, *, when: datetime) -> None:  # noqa: ARG002 - lines lie in the order of writing
        """See `Entries.add`."""
        line = content + b"\n"
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a+b") as file:
            lock_file(file.fileno())
            if _ends_torn(file.fileno()):
                line = b"\n" + line  # a writer died in the middle of its line: ours must start on a fresh one
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def all(self, since: datetime | None = None) -> Iterator[tuple[str, bytes]]:  # noqa: ARG002 - one read is all of it
        """See `Entries.all`."""
        if not self._path.is_file():
            return
        for number, line in enumerate(self._path.read_bytes().splitlines(), start=1):
            if line:
                yield f"{self._path}:{number}", line


class ObjectEntries:
    """One object each, `audit/YYYY/MM/DD/<instant>-<id>.json`; what was read once is not fetched again.

    What is logged has been done already. So a bucket that is away does not make its doer fail: the entry waits in a
    file of this home, and goes out before the next one is written or read.
    """

    def __init__(self, store: ObjectStore, *, unsent: Path) -> None:
        self._store = store
        self._unsent = unsent
        self._read: dict[str, bytes] = {}

    def add(self, content: bytes, *, when: datetime) -> None:
        """See `Entries.add`."""
        key = f"{_ROOT}/{when:%Y/%m/%d/%Y%m%dT%H%M%S.%fZ}-{uuid.uuid4().hex[:8]}.json"
        try:
            self._send_waiting()
            self._store.put(key, content)
        except DependencyError as error:
            _log.warning("An entry of the audit log waits in %s: %s", self._unsent, error)
            line = json.dumps({"key": key, "content": content.decode()}, ensure_ascii=False)
            FileEntries(self._unsent).add(line.encode(), when=when)

    def all(self, since: datetime | None = None) -> Iterator[tuple[str, bytes]]:
        """See `Entries.all`."""
        self._send_waiting()
        oldest = "" if since is None else f"{_ROOT}/{since - _CLOCKS_DIFFER_BY:%Y/%m/%d}"
        keys = [key for key in self._store.list(f"{_ROOT}/") if key >= oldest]
        unread = [key for key in keys if key not in self._read]
        with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
            self._read.update(zip(unread, pool.map(self._store.get, unread), strict=True))
        for key in keys:
            yield key, self._read[key]

    def _send_waiting(self) -> None:
        if not self._unsent.is_file():
            return
        with self._unsent.open("r+b") as file:
            lock_file(file.fileno())
            for line in file.read().splitlines():
                try:
                    entry = json.loads(line)
                except ValueError:  # its writer was killed before the line was whole
                    continue
                self._store.put(entry["key"], entry["content"].encode())
            # Sent twice they would be the same objects: only a file that has gone out whole is emptied.
            file.truncate(0)


def _ends_torn(descriptor: int) -> bool:
    size = os.fstat(descriptor).st_size
    return size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
