"""Thresholds that earlier runs learnt, by model version, policy and window size."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version as package_version
from pathlib import Path

from monitoring.calibration import Null, Size, from_json, to_json
from monitoring.policy import DriftPolicy
from plumbline import paths
from plumbline.settings import Settings


class CalibrationCache:
    """Files under the monitors' folder; a file that cannot be read is as good as none."""

    def __init__(self, settings: Settings, model_version: str, policy: DriftPolicy) -> None:
        text = policy.model_dump_json() + package_version("plumbline")
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        self._folder = paths.monitoring_dir(settings) / "calibration" / f"{model_version}-{digest}"

    def get(self, size: Size) -> dict[str, Null] | None:
        """Thresholds for windows of this size, or None."""
        path = self._path(size)
        if not path.is_file():
            return None
        try:
            return from_json(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError):
            path.unlink(missing_ok=True)  # cut off while it was written by an earlier version, or edited
            return None

    def put(self, size: Size, nulls: dict[str, Null]) -> None:
        """Keeps thresholds."""
        path = self._path(size)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".incoming")
        temporary.write_text(json.dumps(to_json(nulls), indent=1), encoding="utf-8")
        temporary.replace(path)

    def _path(self, size: Size) -> Path:
        return self._folder / f"{size.rows}-{size.labelled}-{size.weeks}.json"
