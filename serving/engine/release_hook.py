"""How the part that releases new versions takes part in answering: it assigns queries, and is told the outcomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from serving.engine.query import Query, Role


@dataclass(slots=True)
class Outcome:
    """How one variant did on one query."""

    role: Role
    version: str
    request_id: str
    seconds: float
    """From arrival to answer; of a shadow, the time of its own batch."""

    budget: float
    """Seconds that the client gave."""

    error: str | None
    """Kind of error, where the variant could not answer."""

    label: str | None
    probability: float | None
    champion_label: str | None
    """What the champion said, where a shadow was asked too."""

    own_seconds: float = 0.0
    """What encoding and forward pass took, of the part of the batch that this variant answered."""


class ReleaseHook(Protocol):
    """Called on the event loop, for every query: each call has to take microseconds."""

    def role_of(self, query: Query) -> Role:
        """`champion` or `canary`; the same for the same assignment key."""
        ...

    def shadows(self, query: Query) -> bool:
        """Whether the shadow gets a copy."""
        ...

    def observe(self, outcome: Outcome) -> None:
        """Told after each query of each role."""
        ...
