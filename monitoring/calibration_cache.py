"""Thresholds that earlier runs learnt, by model version, policy and window size."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version as package_version

from monitoring.calibration import Null, Size, from_json, to_json
from monitoring.policy import DriftPolicy
from monitoring.shared import open_monitoring_store
from plumbline.errors import MissingInputError
from plumbline.settings import Settings


class CalibrationCache:
    """Objects among the monitors' own; one that cannot be read is as good as none."""

    def __init__(self, settings: Settings, model_version: str, policy: DriftPolicy) -> None:
        text = policy.model_dump_json() + package_version("plumbline")
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        self._store = open_monitoring_store(settings)
        self._root = f"calibration/{model_version}-{digest}"

    def get(self, size: Size) -> dict[str, Null] | None:
        """Thresholds for windows of this size, or None."""
        try:
            return from_json(json.loads(self._store.get(self._key(size))))
        except MissingInputError:
            return None
        except (ValueError, TypeError):  # edited, or written by an earlier version: learnt again and replaced
            return None

    def put(self, size: Size, nulls: dict[str, Null]) -> None:
        """Keeps thresholds."""
        self._store.put(self._key(size), json.dumps(to_json(nulls), indent=1).encode())

    def _key(self, size: Size) -> str:
        return f"{self._root}/{size.rows}-{size.labelled}-{size.weeks}.json"
