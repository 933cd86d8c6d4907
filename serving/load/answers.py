"""Reads the endpoint's answers while they arrive: sums and counts, no answer is kept."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from plumbline.errors import DependencyError


class AnswerReader:
    """Counts what the answers of the measured requests say, those of batches row by row.

    Args:
        first: Number of the first measured request; answers to those before it are not counted.

    Attributes:
        refused: (number of the request, row) of each row of a batch that got a problem, warm-up included.
    """

    def __init__(self, first: int) -> None:
        self.answered = 0
        self.degraded = 0
        self.by_version: Counter[str] = Counter()
        self.rows_refused: Counter[str] = Counter()
        self.refused: set[tuple[int, int]] = set()
        self._first = first
        self._milliseconds: Counter[str] = Counter()

    def take(self, number: int, status: int, body: bytes) -> None:
        """Counts one answer.

        Raises:
            DependencyError: The endpoint answers 200 with something that is no classification.
        """
        if status != 200:
            return
        try:
            answer = orjson.loads(body)
            for place, row in enumerate(answer.get("results", (answer,))):
                if "label" not in row and "status" in row:
                    self.refused.add((number, place))
                    self.rows_refused[row["title"]] += number >= self._first
                elif number >= self._first:
                    self._count(row)
        except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError) as error:
            raise DependencyError(
                f"The endpoint's answer is no classification ({error!r}): {body[:200]!r}. Is the address right?"
            ) from error

    def add(self, other: AnswerReader, numbers: NDArray[np.int64]) -> None:
        """Takes over what another reader has counted, whose requests have these numbers here."""
        self.refused |= {(int(numbers[number]), row) for number, row in other.refused}
        self.answered += other.answered
        self.degraded += other.degraded
        self.by_version += other.by_version
        self.rows_refused += other.rows_refused
        self._milliseconds += other._milliseconds

    def server_mean_ms(self) -> dict[str, float]:
        """Mean of each stage's time over all answered postings, as the endpoint states it, milliseconds."""
        return {stage: round(total / self.answered, 3) for stage, total in self._milliseconds.items()}

    def _count(self, row: dict[str, Any]) -> None:
        self.answered += 1
        self.degraded += row["degraded"]
        self.by_version[row["model"]["version"]] += 1
        for stage, milliseconds in row["timings_ms"].items():
            self._milliseconds[stage] += milliseconds
