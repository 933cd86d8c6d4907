"""Rows that were kept out, with their place in the source and the reason, so that nothing is lost."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from plumbline.data.mapping.rows import Problem
from plumbline.data.masking import mask_text
from plumbline.data.reading import RawRow
from plumbline.data.snapshot import quarantine_key
from plumbline.errors import MissingInputError
from plumbline.storage import ObjectStore

REFUSED = "refused-"
"""Begins the name of a quarantine whose whole batch was refused."""


class Quarantine:
    """Bad rows of one batch."""

    def __init__(self, unmasked: Iterable[str]) -> None:
        """Starts empty.

        Args:
            unmasked: Columns whose numbers name the row (identifier, time, label) and are kept as they are.
        """
        self._unmasked = frozenset(unmasked)
        self._lines: list[bytes] = []
        self.reasons: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, row: RawRow, problems: Sequence[Problem]) -> None:
        """Keeps a row out. The first problem counts as its reason."""
        first = problems[0]
        self.reasons[f"{first.field}: {first.reason}"] += 1
        entry = {
            "line": row.line,
            "field": first.field,
            "reason": first.reason,
            "problems": [{"field": each.field, "reason": each.reason} for each in problems],
            "row": {name: self._masked(name, value, row) for name, value in row.values.items()},
        }
        self._lines.append(json.dumps(entry, ensure_ascii=False).encode(errors="replace") + b"\n")

    def content(self) -> bytes | None:
        """The rows as JSON Lines; None where there is none."""
        return b"".join(self._lines) if self._lines else None

    def write_refused(self, store: ObjectStore) -> str:
        """Writes the rows of a batch that was refused; returns the name to find them under."""
        content = b"".join(self._lines)
        name = f"{REFUSED}{hashlib.sha256(content).hexdigest()[:16]}"
        store.put(quarantine_key(name), content)
        return name

    def _masked(self, name: str, value: str | None, row: RawRow) -> str | None:
        # The cells of a row that cannot be read may stand under the wrong name.
        keep = name in self._unmasked and row.defect is None
        return value if value is None or keep else mask_text(value)


def refused_batches(store: ObjectStore) -> list[str]:
    """Names under which the rows of refused batches are kept."""
    before, after = quarantine_key(REFUSED).split(REFUSED)
    keys = store.list(f"{before}{REFUSED}")
    return [key.removeprefix(before).removesuffix(after) for key in keys]


def read_quarantine(store: ObjectStore, name: str) -> list[dict[str, Any]]:
    """The rows that were kept out of a snapshot or a refused batch; none where the batch was clean.

    Raises:
        MissingInputError: No refused batch has this name.
    """
    if not store.exists(quarantine_key(name)):
        if name.startswith(REFUSED):
            raise MissingInputError(
                f"There is no quarantine {name}. `plumbline data quarantine --refused` lists those of refused batches."
            )
        return []
    return [json.loads(line) for line in store.get(quarantine_key(name)).splitlines()]
