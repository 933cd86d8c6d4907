"""Structured features beside the text: scaled numbers and categories.

A value that is missing, or equal to its feature's default, says nothing: it contributes exactly zero, so that an
expired feature leaves the text's answer as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from plumbline.features.schema import FeatureSpec

_CLIP: Final = 3.0
"""Scaled numbers are cut here: one absurd salary must not decide a class."""

_RAREST: Final = 5
"""Categories that fewer training rows have count as not stated."""


@dataclass(frozen=True)
class EncodedFeatures:
    """Structured features of a batch."""

    numbers: NDArray[np.float32]
    """Shape [rows, numeric features]; 0 where nothing is stated."""

    categories: NDArray[np.int64]
    """Shape [rows, categorical features]; 0 where nothing is stated, else unique over all features."""


class FeatureEncoder:
    """Scale of every numeric feature and values of every categorical one, learnt on the training rows."""

    def __init__(
        self,
        specs: Sequence[FeatureSpec],
        scales: Mapping[str, tuple[float, float]],
        values: Mapping[str, Sequence[str]],
    ) -> None:
        """Args:
        specs: Features, in order.
        scales: Mean and standard deviation of each numeric feature's signed log.
        values: Known values of each categorical feature.
        """
        self.specs = list(specs)
        self.scales = {name: (float(mean), float(deviation)) for name, (mean, deviation) in scales.items()}
        self.values = {name: list(known) for name, known in values.items()}
        self._numeric = [spec for spec in self.specs if spec.kind == "numeric"]
        self._categorical = [spec for spec in self.specs if spec.kind == "categorical"]
        self._ids: dict[str, dict[str, int]] = {}
        following = 1
        for spec in self._categorical:
            known = self.values[spec.name]
            self._ids[spec.name] = {value: following + place for place, value in enumerate(known)}
            following += len(known)
        self._names = [spec.name for spec in self._numeric]
        self._columns = [(spec.name, self._ids[spec.name]) for spec in self._categorical]
        self._means = np.array([self.scales[spec.name][0] for spec in self._numeric])
        self._deviations = np.array([self.scales[spec.name][1] for spec in self._numeric])
        self._defaults = np.array([float(spec.default) for spec in self._numeric])

    @property
    def number_count(self) -> int:
        """Numeric features."""
        return len(self._numeric)

    @property
    def category_count(self) -> int:
        """Ids in use, 0 among them."""
        return 1 + sum(len(known) for known in self.values.values())

    @classmethod
    def fit(cls, specs: Sequence[FeatureSpec], records: Sequence[Mapping[str, Any]]) -> FeatureEncoder:
        """Learns scales and values."""
        scales: dict[str, tuple[float, float]] = {}
        values: dict[str, list[str]] = {}
        for spec in specs:
            if spec.kind == "numeric":
                column = np.array([_number(record.get(spec.name), float(spec.default)) for record in records])
                logs = _signed_log(column[column != float(spec.default)])
                scales[spec.name] = (float(logs.mean()), max(float(logs.std()), 1e-3)) if len(logs) else (0.0, 1.0)
            else:
                texts = [_text(record.get(spec.name), str(spec.default)) for record in records]
                found, counts = np.unique(np.array(texts, dtype=object).astype(str), return_counts=True)
                values[spec.name] = [
                    str(value)
                    for value, count in zip(found, counts, strict=True)
                    if count >= _RAREST and value != str(spec.default)
                ]
        return cls(specs, scales, values)

    def encode(self, records: Sequence[Mapping[str, Any]]) -> EncodedFeatures:
        """Encodes records; what they lack is not stated."""
        # numpy makes NaN of None, and numbers of whatever `float` makes one of.
        raw = np.array([[record.get(name) for name in self._names] for record in records], dtype=np.float64)
        raw = raw.reshape(len(records), len(self._names))
        scaled = _signed_log(raw)
        scaled -= self._means
        scaled /= self._deviations
        np.minimum(scaled, _CLIP, out=scaled)
        np.maximum(scaled, -_CLIP, out=scaled)
        scaled[(raw == self._defaults) | (raw != raw)] = 0.0  # noqa: PLR0124 - NaN is what differs from itself
        categories = np.array(
            [[_id(ids, record.get(name)) for name, ids in self._columns] for record in records], dtype=np.int64
        ).reshape(len(records), len(self._columns))
        return EncodedFeatures(scaled.astype(np.float32), categories)


def _signed_log(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Counts and days span orders of magnitude."""
    logs: NDArray[np.float64] = np.sign(values) * np.log1p(np.abs(values))
    return logs


def _number(value: Any, default: float) -> float:
    if value is None:
        return default
    number = float(value)
    return default if number != number else number  # noqa: PLR0124 - NaN is what differs from itself


def _id(ids: Mapping[str, int], value: Any) -> int:
    return ids.get(value if type(value) is str else _text(value, ""), 0)


def _text(value: Any, default: str) -> str:
    if value is None or value != value:  # noqa: PLR0124 - pandas says "none" as NaN
        return default
    return str(value)
