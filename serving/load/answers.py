"""Reads the endpoint's answers while they arrive: sums and counts, no answer is kept."""

from __future__ import annotations

from collections import Counter
from typing import Any

import orjson

from plumbline.errors import DependencyError


class AnswerReader:
    """Counts what the answers of the measured requests say.

    Args:
        first: Number of the first measured request; answers to those before it are not counted.
    """

    def __init__(self, first: int) -> None:
        self.read = 0
        self.degraded = 0
        self.by_version: Counter[str] = Counter()
        self._first = first
        self._milliseconds: Counter[str] = Counter()

    def take(self, number: int, status: int, body: bytes) -> None:
        """Counts one answer.

        Raises:
            DependencyError: The endpoint answers 200 with something that is no classification.
        """
        if status != 200 or number < self._first:
            return
        try:
            self._count(orjson.loads(body))
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise DependencyError(
                f"The endpoint's answer is no classification ({error!r}): {body[:200]!r}. Is the address right?"
            ) from error

    def server_mean_ms(self) -> dict[str, float]:
        """Mean of each stage's time, as the endpoint states it, milliseconds."""
        return {stage: round(total / self.read, 3) for stage, total in self._milliseconds.items()}

    def _count(self, answer: dict[str, Any]) -> None:
        self.read += 1
        self.degraded += answer["degraded"]
        self.by_version[answer["model"]["version"]] += 1
        for stage, milliseconds in answer["timings_ms"].items():
            self._milliseconds[stage] += milliseconds
