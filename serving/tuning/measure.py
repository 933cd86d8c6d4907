"""Times a model's batches: encoding and forward pass, wall time, as a replica runs them."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline.model.protocol import TextClassifier

Record = Mapping[str, Any]

_WARM_UPS = 3
_FEWEST_REPEATS = 100
"""Fewer say nothing of a 99th percentile: it is then the slowest but one, at best."""

_MOST_REPEATS = 5000

_PATIENCE_SECONDS = 20.0
"""Where 100 batches take longer, a fifth of them must do: such a batch is far from any budget."""


@dataclass(frozen=True, slots=True)
class BatchTimes:
    """What batches of one size took."""

    batch_size: int
    repeats: int
    encode_p50_ms: float
    forward_p50_ms: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    postings_per_second: float
    """From the mean: what one replica computes when every batch is full."""
    cpu_share: float
    """The thread's own CPU time in it. On a CPU, well below 1 means that other work held it up."""


def measure(
    model: TextClassifier,
    records: Sequence[Record],
    batch_size: int,
    *,
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
) -> BatchTimes:
    """Times batches of different records, for so many seconds and, unless that takes over 20 s, at least 100 times.

    Args:
        model: A loaded model.
        records: Postings with features; drawn in their order, from the first again after the last.
        batch_size: Records per batch.
        seconds: How long to measure.
        clock: Seconds, monotonic.
    """
    for start in range(_WARM_UPS):
        model.forward(model.encode(_batch(records, start, batch_size)))
    spans: list[tuple[float, float]] = []
    # The collector runs where it likes in a replica too, but there it is frozen past start-up.
    gc.collect()
    start_at, own_start = clock(), time.thread_time()

    def enough() -> bool:
        passed, count = clock() - start_at, len(spans)
        if count < _FEWEST_REPEATS:
            return passed > _PATIENCE_SECONDS and count >= _FEWEST_REPEATS // 5
        return passed >= seconds or count >= _MOST_REPEATS

    while not enough():
        batch = _batch(records, len(spans), batch_size)
        begun = clock()
        encoded = model.encode(batch)
        middle = clock()
        model.forward(encoded)
        spans.append((middle - begun, clock() - middle))
    own = (time.thread_time() - own_start) / max(clock() - start_at, 1e-9)
    return _times(batch_size, 1000 * np.array(spans), own)


def _batch(records: Sequence[Record], number: int, size: int) -> list[Record]:
    start = number * size
    return [records[place % len(records)] for place in range(start, start + size)]


def _times(batch_size: int, spans: NDArray[np.float64], cpu_share: float) -> BatchTimes:
    whole = spans.sum(1)
    encode, forward = np.median(spans, 0)
    return BatchTimes(
        batch_size=batch_size,
        repeats=len(whole),
        encode_p50_ms=float(encode),
        forward_p50_ms=float(forward),
        p50_ms=float(np.median(whole)),
        p99_ms=float(np.quantile(whole, 0.99)),
        max_ms=float(whole.max()),
        postings_per_second=1000 * batch_size / float(whole.mean()),
        cpu_share=cpu_share,
    )
