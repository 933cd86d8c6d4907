"""BentoML with adaptive batching: a batchable API of one service, one worker.

Reference: BentoML 1.4 documentation, "Adaptive batching", "Workers" and "Server logging" (its access log, a line of
text per request, is turned off, as those of all systems are).
"""

from __future__ import annotations

import os
from typing import Any

import bentoml

from benchmarks.serving.servers.champion import champion, classify

MAX_BATCH_SIZE_VARIABLE = "BENCH_MAX_BATCH_SIZE"
MAX_LATENCY_VARIABLE = "BENCH_MAX_LATENCY_MS"


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Postings:
    """Answers batches."""

    def __init__(self) -> None:
        self.model = champion()

    @bentoml.api(
        batchable=True,
        max_batch_size=int(os.environ[MAX_BATCH_SIZE_VARIABLE]),
        max_latency_ms=int(os.environ[MAX_LATENCY_VARIABLE]),
    )
    def classify(self, postings: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Answers a batch; a client's request is a list, too."""
        return classify(self.model, postings)
