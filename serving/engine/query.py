"""What goes into the engine and what comes out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import orjson
from numpy.typing import NDArray

from plumbline.data.contract import PostingRequest

Role = Literal["champion", "canary", "shadow"]


@dataclass(slots=True)
class Query:
    """A posting that is to be classified, inside a budget."""

    posting: PostingRequest
    """Valid and masked."""

    request_id: str
    received: float
    """`time.monotonic()` at which it came."""

    deadline: float
    """`time.monotonic()` by which the answer is due: `received` and the budget."""

    client: str = "anonymous"
    """Id of the client, for the log."""

    assignment_key: str = ""
    """Queries with the same key get the same variant; empty means the posting's company, else its id."""

    pinned: bool = False
    """Whether the client has named the champion's version, so that no canary may answer."""


@dataclass(slots=True)
class Timings:
    """Milliseconds that a query spent, by stage; the stages are those of its whole batch."""

    queue: float
    """From arrival until its batch was closed."""

    features: float
    encode: float
    model: float
    total: float
    """From arrival until its batch was answered and about to be logged."""

    log: float = 0.0
    """Writing the batch's records. Not in the records themselves, which are written by then."""


@dataclass(slots=True)
class Answer:
    """What a variant says of one posting."""

    request_id: str
    posting_id: str
    label: str
    probability: float
    """Calibrated, of `label`."""

    probabilities: NDArray[np.float32]
    """Shape (labels,)."""

    labels: Sequence[str]
    model_name: str
    model_version: str
    role: Role
    degraded_reasons: list[str]
    """Why defaults stand for features; empty where they do not."""

    timings: Timings

    def body(self) -> bytes:
        """The answer as JSON: the document that the API's schema calls `Classification`."""
        return orjson.dumps(
            {
                "posting_id": self.posting_id,
                "request_id": self.request_id,
                "label": self.label,
                "probability": self.probability,
                "model": {"name": self.model_name, "version": self.model_version},
                "degraded": bool(self.degraded_reasons),
                "degraded_reasons": self.degraded_reasons,
                "timings_ms": self.timings,
            }
        )
