"""Near-duplicate descriptions: MinHash signatures over word triples, found by banding, in numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from plumbline.model.ngrams import TextBatch, mix, mixed

Groups = NDArray[np.int64]

_BANDS: Final = 32
_BAND_ROWS: Final = 4
"""A pair of similarity s shares a band with probability 1 - (1 - s^4)^32: 1.00 at 0.8, 0.87 at 0.5."""

_SIGNATURE: Final = _BANDS * _BAND_ROWS
_CHUNK: Final = 512
_SHINGLE_SALT: Final = 77


def near_duplicate_groups(texts: Sequence[str], *, similarity: float, seed: int) -> Groups:
    """Numbers the groups of near-duplicates; a text that resembles no other has a group of its own.

    Two texts belong together when the Jaccard similarity of their sets of word triples, estimated from 128 minima
    (Broder 1997; standard error at most 0.044), is at least `similarity`; groups are closed over chains of such
    pairs. Texts of fewer than three words resemble nothing.

    Args:
        texts: Descriptions.
        similarity: Between 0 and 1.
        seed: Chooses the hash functions.

    Returns:
        Group numbers, shape [texts].
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    signatures, long_enough = _signatures(texts, seed)
    pairs = _candidates(signatures, np.flatnonzero(long_enough))
    alike = (signatures[pairs[:, 0]] == signatures[pairs[:, 1]]).mean(1) >= similarity
    first, second = pairs[alike].T
    graph = coo_array((np.ones(len(first)), (first, second)), shape=(len(texts), len(texts)))
    groups: Groups = connected_components(graph, directed=False)[1].astype(np.int64)
    return groups


def _signatures(texts: Sequence[str], seed: int) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    draws = np.random.default_rng(seed).integers(0, 2**64, size=(2, _SIGNATURE), dtype=np.uint64)
    factors, shifts = draws[0] | np.uint64(1), draws[1]
    signatures = np.full((len(texts), _SIGNATURE), np.iinfo(np.uint64).max, dtype=np.uint64)
    for start in range(0, len(texts), _CHUNK):
        word_rows, values = mixed([TextBatch(texts[start : start + _CHUNK]).words().whole(_SHINGLE_SALT)], [])
        together = word_rows[2:] == word_rows[:-2]
        triples = mix(values[:-2] + values[1:-1] * np.uint64(3) + values[2:] * np.uint64(9), _SHINGLE_SALT)[together]
        rows = word_rows[:-2][together]
        if not len(rows):
            continue
        firsts = np.flatnonzero(np.concatenate(([True], rows[1:] != rows[:-1])))
        for k in range(_SIGNATURE):
            # The high bits of a multiply-shift hash order the triples as a random permutation would.
            signatures[start + rows[firsts], k] = np.minimum.reduceat(triples * factors[k] + shifts[k], firsts)
    return signatures, (signatures != np.iinfo(np.uint64).max).any(1)


def _candidates(signatures: NDArray[np.uint64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pairs that share a band: each row with the one before it in its bucket, and with the bucket's first."""
    found = [np.zeros((0, 2), dtype=np.int64)]
    for band in range(_BANDS):
        columns = signatures[rows, band * _BAND_ROWS : (band + 1) * _BAND_ROWS]
        keys = (columns * np.array([1, 3, 9, 27], dtype=np.uint64)).sum(1)
        order = np.argsort(keys, kind="stable")
        keys, members = keys[order], rows[order]
        new = np.concatenate(([True], keys[1:] != keys[:-1]))
        first = members[np.maximum.accumulate(np.where(new, np.arange(len(members)), 0))] if len(members) else members
        follows = np.flatnonzero(~new)
        found.append(np.stack([members[follows], members[follows - 1]], 1))
        found.append(np.stack([members[follows], first[follows]], 1))
    return np.unique(np.concatenate(found), axis=0)
