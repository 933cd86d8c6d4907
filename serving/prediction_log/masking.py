"""Empties or hashes fields of a record before it is written, as the policy says."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from plumbline.errors import SettingsError
from plumbline.settings.serving_log import Masking, PredictionLogSettings
from serving.prediction_log.record import PredictionRecord

_FEATURE = "features."
_SHORTEST_KEY = 16
_DIGEST_BYTES = 16


class Masker:
    """Applies `serving.log.mask`.

    Raises:
        SettingsError: The key of the hashes is too short.
    """

    def __init__(self, settings: PredictionLogSettings) -> None:
        key = "" if settings.mask_key is None else settings.mask_key.get_secret_value()
        if "hash" in settings.mask.values() and len(key) < _SHORTEST_KEY:
            raise SettingsError(f"serving.log.mask_key is too short: give {_SHORTEST_KEY} characters or more.")
        self._key = hashlib.sha256(key.encode()).digest()
        self._features = {
            name.removeprefix(_FEATURE): how for name, how in settings.mask.items() if name.startswith(_FEATURE)
        }
        self._fields = {name: how for name, how in settings.mask.items() if not name.startswith(_FEATURE)}
        self._masked = sorted(f"{name}:{how}" for name, how in settings.mask.items())

    @property
    def features(self) -> frozenset[str]:
        """Names of the features that are masked one by one."""
        return frozenset(self._features)

    def fields(self, record: PredictionRecord) -> dict[str, Any]:
        """The record's fields as they are to be written; the record itself stays as it is."""
        fields = {**vars(record), "masked": self._masked}
        if self._features:
            fields["features"] = self._mask(fields["features"], self._features)
        masked = self._mask(fields, self._fields)
        if "features" in self._fields:
            masked["features"] = {}
        return masked

    def _mask(self, values: Mapping[str, Any], how: Mapping[str, Masking]) -> dict[str, Any]:
        masked = dict(values)
        for name, masking in how.items():
            value = masked.get(name)
            if value is not None:
                masked[name] = None if masking == "drop" else self._hash(value)
        return masked

    def _hash(self, value: Any) -> str:
        content = value.encode() if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
        return hashlib.blake2b(content, digest_size=_DIGEST_BYTES, key=self._key).hexdigest()
