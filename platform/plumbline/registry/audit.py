"""The audit log: who changed what, when, why, and on which numbers. Lines of JSON, only ever appended."""

from __future__ import annotations

import fcntl
import getpass
import json
import logging
import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from plumbline import paths
from plumbline.settings import Settings

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AuditEntry:
    """One change or decision."""

    when: str
    """ISO 8601 instant, UTC."""

    who: str
    """`user@host`, or the part of the platform that acted on its own."""

    what: str
    """Action in one word or two, such as `promote`."""

    subject: str
    """What it was done to, such as `posting-classifier/3`."""

    why: str
    """Reason, in a sentence."""

    numbers: dict[str, Any]
    """Figures that the decision rests on."""


class AuditLog:
    """Appends to and reads `audit.jsonl` in the controller's folder; safe for several processes at once."""

    def __init__(self, settings: Settings) -> None:
        self._path = paths.controller_dir(settings) / "audit.jsonl"

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    def append(
        self,
        what: str,
        *,
        subject: str,
        why: str,
        numbers: Mapping[str, Any] | None = None,
        who: str | None = None,
    ) -> AuditEntry:
        """Writes one entry to disk before it returns.

        Args:
            what: Action in one word or two.
            subject: What it was done to.
            why: Reason, in a sentence.
            numbers: Figures that the decision rests on.
            who: Actor; None names the user and host of this process.
        """
        entry = AuditEntry(
            when=datetime.now(UTC).isoformat(),
            who=who or whoami(),
            what=what,
            subject=subject,
            why=why,
            numbers=dict(numbers or {}),
        )
        line = (json.dumps(asdict(entry), ensure_ascii=False, default=str) + "\n").encode()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if _ends_torn(file.fileno()):
                line = b"\n" + line  # a writer died in the middle of its line: ours must start on a fresh one
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        return entry

    def read(self, *, what: frozenset[str] | None = None) -> list[AuditEntry]:
        """Entries in the order they were written.

        Args:
            what: Only these actions; None is all of them.
        """
        if not self._path.is_file():
            return []
        entries = []
        for number, line in enumerate(self._path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
            try:
                entry = AuditEntry(**json.loads(line))
            except (ValueError, TypeError):
                if line:
                    _log.warning("%s:%d is not a whole entry (its writer was killed); skipped.", self._path, number)
                continue
            if what is None or entry.what in what:
                entries.append(entry)
        return entries


def whoami() -> str:
    """`user@host` of this process."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())  # containers run under ids that no passwd file names
    return f"{user}@{socket.gethostname()}"


def _ends_torn(descriptor: int) -> bool:
    size = os.fstat(descriptor).st_size
    return size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
