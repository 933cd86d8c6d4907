"""Results of monitor runs as JSON files: the record that everything else is drawn from."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from plumbline import paths
from plumbline.settings import Settings


class ResultStore:
    """One file per judged window, named by time."""

    def __init__(self, settings: Settings) -> None:
        self._folder = paths.monitoring_dir(settings) / "results"
        self._kept = settings.monitoring.results_kept

    def add(self, result: dict[str, Any], *, model: str, version: str) -> Path:
        """Writes a result with what it is about and when it was made."""
        now = datetime.now(UTC)
        content = {"model": model, "model_version": version, "finished_at": now.isoformat(), **result}
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{now:%Y%m%dT%H%M%S.%fZ}-{uuid.uuid4().hex[:6]}.json"
        temporary = path.with_suffix(".incoming")
        temporary.write_text(json.dumps(content, ensure_ascii=False, allow_nan=False), encoding="utf-8")
        temporary.replace(path)
        for old in sorted(self._folder.glob("*.json"))[: -self._kept]:
            old.unlink()
        return path

    def latest(self, number: int) -> list[dict[str, Any]]:
        """The last results, oldest of them first."""
        files = sorted(self._folder.glob("*.json"))[-number:]
        return [json.loads(path.read_text(encoding="utf-8")) for path in files]
