"""Who asks."""

from __future__ import annotations

from dataclasses import dataclass

from plumbline.settings.serving_access import Scope

ALL_SCOPES: frozenset[Scope] = frozenset({"classify", "models"})


@dataclass(frozen=True, slots=True)
class Client:
    """A client that may ask: its id is in the log, its key never is."""

    id: str
    scopes: frozenset[Scope]
    bucket: str
    """Whose rate it uses up: its id, or its address where it has none."""


ANONYMOUS = "anonymous"
