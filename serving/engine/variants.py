"""The versions of one model that are loaded beside each other, and what is said of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from serving.engine.query import Role
from serving.engine.served_model import Following, ModelSlot, ServedModel


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """A loaded version."""

    name: str
    role: Role
    alias: str
    version: str
    digest: str
    """SHA-256 of the model's files."""

    loaded_at: datetime
    labels: int
    """Number of classes."""

    following: Following | None
    """How its alias is followed; None of canary and shadow, which a release brings in."""


@dataclass(slots=True)
class Variants:
    """One champion, and at most one canary and one shadow.

    Canary and shadow are set, and taken away, by one assignment each; a batch that is being answered keeps those
    that it began with.
    """

    champion: ModelSlot
    canary: ServedModel | None = None
    shadow: ServedModel | None = None

    def status(self) -> list[ModelStatus]:
        """Each loaded version, the champion first."""
        loaded: list[tuple[Role, ServedModel | None]] = [
            ("champion", self.champion.current),
            ("canary", self.canary),
            ("shadow", self.shadow),
        ]
        return [
            ModelStatus(
                name=served.name,
                role=role,
                alias=served.alias,
                version=served.version,
                digest=served.digest,
                loaded_at=served.loaded_at,
                labels=len(served.model.labels),
                following=self.champion.following if role == "champion" else None,
            )
            for role, served in loaded
            if served is not None
        ]
