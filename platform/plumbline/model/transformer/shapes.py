"""Cuts a batch of texts of many lengths into pieces of few shapes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plumbline.model.transformer.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of a batch that the encoder takes together."""

    rows: NDArray[np.int64]
    """Places in the batch, shape [n]."""

    ids: NDArray[np.int64]
    """Shape [capacity, tokens], n rows of it filled."""

    lengths: NDArray[np.int64]
    """Shape [capacity]; 1 in rows that are not filled, so that no mean is over nothing."""


def pieces(tokens: Tokens, buckets: Sequence[int], capacities: Sequence[int] | None) -> Iterator[Piece]:
    """Rows by the bucket of their length, in their order within it.

    Args:
        tokens: A batch.
        buckets: Ascending lengths; the last one holds the longest text.
        capacities: Ascending numbers of rows. With them every piece has a bucket's whole length and one of these
            numbers of rows, so that kernels which were recorded for the shape fit; None: no row and no token more than
            the texts need.
    """
    bucket = np.searchsorted(buckets, tokens.lengths)
    for place in np.unique(bucket):
        rows = np.flatnonzero(bucket == place)
        if capacities is None:
            part = tokens.take(rows)
            yield Piece(rows, part.ids, part.lengths)
            continue
        for start in range(0, len(rows), capacities[-1]):
            some = rows[start : start + capacities[-1]]
            capacity = capacities[int(np.searchsorted(capacities, len(some)))]
            ids = np.zeros((capacity, buckets[place]), dtype=np.int64)
            lengths = np.ones(capacity, dtype=np.int64)
            width = min(buckets[place], tokens.ids.shape[1])
            ids[: len(some), :width] = tokens.ids[some, :width]
            lengths[: len(some)] = tokens.lengths[some]
            yield Piece(some, ids, lengths)
