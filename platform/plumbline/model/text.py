"""Text encoder: title and description into weighted n-gram ids, in blocks that the network sums one by one.

Weights are sublinear in the count (1 + ln count) times the inverse document frequency of the training rows, each
block scaled to a fixed length: the weighting that linear text classifiers have long been best with (Salton and
Buckley, Information Processing & Management 24, 1988; Joachims, ECML 1998).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from plumbline.model.ngrams import Hashes, TextBatch

FloatArray = NDArray[np.float32]
Keys = NDArray[np.uint64]

BLOCKS: Final = ("text", "title_characters", "title_words")
"""Words, word beginnings and pairs of the whole text; character n-grams, and words, of the title."""

_LENGTHS: Final = (1.0, 1.5, 0.7)
"""Length of each block's vector. Titles say more per word; chosen by time splits, flat around these values."""

_STEM: Final = 5
_TITLE_STEM: Final = 6
_HASH_BITS: Final = 40
"""Of 64: a row number fits beside them, and among 10^6 kept n-grams an unknown one collides once in 10^6."""

_CHUNK: Final = 256
"""Texts hashed together in training: bounds the memory of the intermediate arrays."""


@dataclass(frozen=True)
class Bags:
    """One block of a batch: weighted ids of row r at offsets[r]:offsets[r + 1]."""

    ids: NDArray[np.int32]
    weights: FloatArray
    offsets: NDArray[np.int64]
    """Shape [rows + 1]."""


@dataclass(frozen=True)
class HashedBlock:
    """Distinct n-grams of each row, before a vocabulary is known."""

    rows: NDArray[np.int64]
    hashes: Keys
    """Ascending within a row."""
    counts: NDArray[np.int64]
    size: int
    """Number of rows."""


def hash_texts(titles: Sequence[str], descriptions: Sequence[str]) -> list[HashedBlock]:
    """Hashes texts, a block at a time; `titles` and `descriptions` have one entry per row."""
    parts = [
        _hash_chunk(titles[start : start + _CHUNK], descriptions[start : start + _CHUNK])
        for start in range(0, max(len(titles), 1), _CHUNK)
    ]
    if len(parts) == 1:
        return parts[0]
    whole = []
    for pieces in zip(*parts, strict=True):
        starts = np.cumsum([0] + [piece.size for piece in pieces[:-1]])
        whole.append(
            HashedBlock(
                np.concatenate([piece.rows + start for piece, start in zip(pieces, starts, strict=True)]),
                np.concatenate([piece.hashes for piece in pieces]),
                np.concatenate([piece.counts for piece in pieces]),
                len(titles),
            )
        )
    return whole


def _hash_chunk(titles: Sequence[str], descriptions: Sequence[str]) -> list[HashedBlock]:
    title = TextBatch(titles)
    text = TextBatch([f"{head} {body}" for head, body in zip(titles, descriptions, strict=True)])
    blocks = (
        (text.words(10), text.beginnings(_STEM, 20), text.pairs(12, _STEM)),
        (title.characters(2, 5, 100), title.pairs(2), title.pairs(4, _STEM)),
        (title.words(1), title.beginnings(_STEM, 30), title.pairs(33, _TITLE_STEM)),
    )
    return [_distinct(block, len(titles)) for block in blocks]


def _distinct(hashes: Sequence[Hashes], size: int) -> HashedBlock:
    rows = np.concatenate([part.rows for part in hashes]).astype(np.uint64)
    values = np.concatenate([part.values for part in hashes])
    keys = (rows << np.uint64(_HASH_BITS)) | (values >> np.uint64(64 - _HASH_BITS))
    keys.sort()
    first = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1]))) if len(keys) else np.zeros(0, np.int64)
    counts = np.diff(first, append=len(keys))
    keys = keys[first]
    return HashedBlock(
        (keys >> np.uint64(_HASH_BITS)).astype(np.int64), keys & np.uint64((1 << _HASH_BITS) - 1), counts, size
    )


class TextEncoder:
    """The vocabulary of each block: sorted hashes of the n-grams that it keeps, and their weights."""

    def __init__(self, vocabularies: Sequence[Keys], idf: Sequence[FloatArray]) -> None:
        self.vocabularies = list(vocabularies)
        self.idf = list(idf)

    @property
    def sizes(self) -> list[int]:
        """N-grams kept in each block."""
        return [len(vocabulary) for vocabulary in self.vocabularies]

    @classmethod
    def fit(cls, blocks: Sequence[HashedBlock], *, min_count: int) -> TextEncoder:
        """Keeps what at least `min_count` rows have; idf is smoothed as if one more row had everything."""
        vocabularies, idf = [], []
        for block in blocks:
            hashes, documents = np.unique(block.hashes, return_counts=True)
            kept = documents >= min_count
            vocabularies.append(hashes[kept])
            idf.append((np.log((1 + block.size) / (1 + documents[kept])) + 1).astype(np.float32))
        return cls(vocabularies, idf)

    def encode(self, titles: Sequence[str], descriptions: Sequence[str]) -> list[Bags]:
        """Encodes texts; n-grams outside the vocabulary are left out."""
        return self.encode_hashed(hash_texts(titles, descriptions))

    def encode_hashed(self, blocks: Sequence[HashedBlock]) -> list[Bags]:
        """Encodes texts that are hashed already."""
        return [
            _bags(block, vocabulary, idf, length)
            for block, vocabulary, idf, length in zip(blocks, self.vocabularies, self.idf, _LENGTHS, strict=True)
        ]


def _bags(block: HashedBlock, vocabulary: Keys, idf: FloatArray, length: float) -> Bags:
    if not len(vocabulary):
        return Bags(np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros(block.size + 1, np.int64))
    places = np.searchsorted(vocabulary, block.hashes)
    np.minimum(places, len(vocabulary) - 1, out=places)
    known = np.flatnonzero(vocabulary[places] == block.hashes)
    ids = places[known]
    rows = block.rows[known]
    weights = (1.0 + np.log(block.counts[known])) * idf[ids]
    squares = np.bincount(rows, weights * weights, minlength=block.size)
    weights *= (length / np.sqrt(np.maximum(squares, 1e-12)))[rows]
    offsets = np.zeros(block.size + 1, dtype=np.int64)
    np.cumsum(np.bincount(rows, minlength=block.size), out=offsets[1:])
    return Bags(ids.astype(np.int32), weights.astype(np.float32), offsets)
