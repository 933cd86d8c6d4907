"""A version's first predictions, made before it is served."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from serving.engine.inference import infer
from serving.engine.served_model import ServedModel
from serving.samples import sample_postings

_ROUNDS = 3
_MOST_ROUNDS = 20
_SECONDS_PER_SIZE = 0.04
"""A quick version is given more rounds: three of 2 ms each can all fall into somebody else's turn on the processor."""


def measure(served: ServedModel, *, largest: int) -> dict[int, float]:
    """Makes real predictions at sizes 1, 2, 4 and so on: the first ones cost ten times later ones.

    Args:
        served: A loaded version.
        largest: Size of batch up to which it is warmed up.

    Returns:
        Seconds by size: the quickest of some rounds.

    Raises:
        Exception: What the version raises on postings that are in order.
    """
    samples = [
        {"title": posting.title, "description": posting.description} for posting in sample_postings(datetime.now(UTC))
    ]
    seconds: dict[int, float] = {}
    size = 1
    while size <= largest:
        records = [samples[index % len(samples)] for index in range(size)]
        begun = time.monotonic()
        for turn in range(_MOST_ROUNDS):
            start = time.monotonic()
            if turn >= _ROUNDS and start - begun > _SECONDS_PER_SIZE:
                break
            for error in infer(served, records).errors.values():
                raise error
            taken = time.monotonic() - start
            seconds[size] = min(taken, seconds.get(size, taken))
        size *= 2
    return seconds
