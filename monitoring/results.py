"""Results of monitor runs as JSON objects: the record that everything else is drawn from."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import Any

from monitoring.shared import keep_last, open_monitoring_store
from plumbline.errors import MissingInputError
from plumbline.settings import Settings

_ROOT = "results/"


class ResultStore:
    """One object per judged window, named by time."""

    def __init__(self, settings: Settings) -> None:
        self._store = open_monitoring_store(settings)
        self._kept = settings.monitoring.results_kept
        self._read: dict[str, dict[str, Any]] = {}

    def add(self, result: dict[str, Any], *, model: str, version: str) -> str:
        """Writes a result with what it is about and when it was made; returns its address."""
        now = datetime.now(UTC)
        content = {"model": model, "model_version": version, "finished_at": now.isoformat(), **result}
        key = f"{_ROOT}{now:%Y%m%dT%H%M%S.%fZ}-{uuid.uuid4().hex[:6]}.json"
        address = self._store.put(key, json.dumps(content, ensure_ascii=False, allow_nan=False).encode())
        keep_last(self._store, _ROOT, self._kept)
        return address

    def latest(self, number: int) -> list[dict[str, Any]]:
        """The last results, oldest of them first. Those that were read before are not fetched again.

        Raises:
            DependencyError: There is a bucket, and it did not answer.
        """
        read: dict[str, dict[str, Any]] = {}
        for key in list(self._store.list(_ROOT))[-number:]:
            if key not in self._read:
                try:
                    read[key] = json.loads(self._store.get(key))
                except MissingInputError:  # a monitor has just taken it away for being old
                    continue
            else:
                read[key] = self._read[key]
        self._read = read
        return list(read.values())
