"""A small model and feature source with the interfaces of the real ones, for faults that those do not have."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from starlette.testclient import TestClient

from plumbline.settings import Settings
from serving.engine.served_model import ServedModel, now
from serving.replica import Replica

POISON = "poison"
NOT_A_NUMBER = "not a number"


class WordCountModel:
    """Says `long` for descriptions of more than five words, else `short`; breaks on poisoned titles."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.labels = ["long", "short"]
        self.seconds = seconds
        self.sizes: list[int] = []

    def encode(self, records: Sequence[Mapping[str, Any]]) -> np.ndarray:
        if any(record["title"] == POISON for record in records):
            raise ValueError("a title that cannot be encoded")
        bad = [record["title"] == NOT_A_NUMBER for record in records]
        counts = np.array([len(str(record["description"]).split()) for record in records], dtype=float)
        return np.where(bad, np.nan, counts)

    def forward(self, batch: np.ndarray) -> np.ndarray:
        self.sizes.append(len(batch))
        time.sleep(self.seconds)
        long = np.where(np.isnan(batch), np.nan, np.where(batch > 5, 0.9, 0.2))
        return np.column_stack([long, 1 - long])


class LoadableModel(WordCountModel):
    """One that a registered version may be: any folder is read as it."""

    CONFIG = json.dumps({"class_path": f"{__name__}:LoadableModel"})

    @classmethod
    def load(cls, path: Path) -> LoadableModel:
        return cls()

    def save(self, path: Path) -> None:
        (path / "config.json").write_text(self.CONFIG)

    def predict_proba(self, records: Sequence[Mapping[str, Any]]) -> np.ndarray:
        return self.forward(self.encode(records))


@dataclass
class Vector:
    values: dict[str, Any]
    expired: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    later: list[str] = field(default_factory=list)
    age_seconds: dict[str, float] = field(default_factory=dict)


class Features:
    """One feature; can be made to hang or to fail."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.go_on.set()
        self.fails = False
        self.reads = 0
        self.kept: set[str] = set()
        """Boards whose features are in memory."""

    def read(self, postings: Sequence[Mapping[str, Any]]) -> list[Vector]:
        self.reads += 1
        self.go_on.wait(10)
        if self.fails:
            raise ConnectionError("the online store is gone")
        return [self._vector(posting) for posting in postings]

    def read_kept(self, postings: Sequence[Mapping[str, Any]]) -> list[Vector | None]:
        return [self._vector(posting) if posting["board"] in self.kept else None for posting in postings]

    def _vector(self, posting: Mapping[str, Any]) -> Vector:
        return Vector({"board_size": float(len(posting["board"]))}, missing=["company_stats"])


class Models:
    """A registry of numbered versions, one of which the alias names."""

    def __init__(self, model: WordCountModel | None = None) -> None:
        self.alias: str | None = "1"
        self.model = model or WordCountModel()
        self.broken: set[str] = set()
        self.loads: list[str] = []
        self.uncovered: set[str] = set()

    def version(self) -> str | None:
        return self.alias

    def uncovered_because(self, version: str) -> str | None:
        return f"Nothing covers version {version}." if version in self.uncovered else None

    def gone_because(self, version: str) -> str:
        return f"Version {version} has lost the alias."

    def load(self, version: str) -> ServedModel:
        self.loads.append(version)
        if version in self.broken:
            raise ValueError(f"version {version} is broken")
        return ServedModel("word-count", "champion", version, "ab" * 32, self.model, now())


@dataclass
class Served:
    """A replica behind an HTTP client."""

    client: TestClient
    replica: Replica
    models: Models
    features: Features
    settings: Settings


Serve = Callable[..., Served]
