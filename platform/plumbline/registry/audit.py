"""The audit log: who changed what, when, why, and on which numbers. Only ever appended to."""

from __future__ import annotations

import getpass
import json
import logging
import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from plumbline.registry.audit_entries import open_entries
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
    """The installation's log: `audit.jsonl` in the controller's folder, or objects where there is a bucket."""

    def __init__(self, settings: Settings) -> None:
        self._entries = open_entries(settings)
        self.whole = settings.store.bucket is not None or settings.tracking.uri is None
        """Whether every change of this registry is in this log: not where machines share an MLflow, but no bucket."""

    def append(
        self,
        what: str,
        *,
        subject: str,
        why: str,
        numbers: Mapping[str, Any] | None = None,
        who: str | None = None,
    ) -> AuditEntry:
        """Writes one entry durably before it returns.

        Args:
            what: Action in one word or two.
            subject: What it was done to.
            why: Reason, in a sentence.
            numbers: Figures that the decision rests on.
            who: Actor; None names the user and host of this process.
        """
        now = datetime.now(UTC)
        entry = AuditEntry(
            when=now.isoformat(),
            who=who or whoami(),
            what=what,
            subject=subject,
            why=why,
            numbers=dict(numbers or {}),
        )
        self._entries.add(json.dumps(asdict(entry), ensure_ascii=False, default=str).encode(), when=now)
        return entry

    def read(self, *, what: frozenset[str] | None = None, since: datetime | None = None) -> list[AuditEntry]:
        """Entries in the order of time.

        Args:
            what: Only these actions; None is all of them.
            since: Spares reading what is older by more than a day, where that costs anything; None reads all.

        Raises:
            DependencyError: There is a bucket, and it did not answer.
        """
        entries = []
        for where, content in self._entries.all(since):
            try:
                entry = AuditEntry(**json.loads(content))
            except (ValueError, TypeError):
                _log.warning("%s is not a whole entry (its writer was killed); skipped.", where)
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
