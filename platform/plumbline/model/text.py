"""Text encoder: title and description into weighted n-gram ids, in blocks that the network sums one by one.

Weights are sublinear in the count (1 + ln count) times the inverse document frequency of the training rows, each
block scaled to a fixed length: the weighting that linear text classifiers have long been best with (Salton and
Buckley, Information Processing & Management 24, 1988; Joachims, ECML 1998).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from plumbline.model.key_index import KeyIndex
from plumbline.model.ngrams import TextBatch, mixed

FloatArray = NDArray[np.float32]
Keys = NDArray[np.uint64]
Places = NDArray[np.int64]

BLOCKS: Final = ("text", "title_characters", "title_words")
"""Words, word beginnings and pairs of the whole text; character n-grams, and words, of the title."""

_LENGTHS: Final = np.array((1.0, 1.5, 0.7))
"""Length of each block's vector. Titles say more per word; chosen by time splits, flat around these values."""

_STEM: Final = 5
_TITLE_STEM: Final = 6
_HASH_BITS: Final = np.uint64(40)
"""Of 64: a row number fits beside them, and among 10^6 kept n-grams an unknown one collides once in 10^6."""

_HASH_MASK: Final = np.uint64((1 << 40) - 1)
_DROPPED_BITS: Final = np.uint64(24)
_BLOCK_KEYS: Final = np.arange(len(BLOCKS), dtype=np.uint64) << _HASH_BITS

_NARROW: Final = 1 << 32

_CHUNK_ROWS: Final = 256
_CHUNK_CHARACTERS: Final = 1 << 18
"""What is hashed together at most (a longer text stands alone): bounds the memory of the intermediate arrays."""


@dataclass(frozen=True, slots=True)
class Bags:
    """Weighted ids of a batch: those of block b of row r at offsets[k]:offsets[k + 1], k = r * blocks + b."""

    ids: NDArray[np.int32]
    """Places in all blocks' vocabularies, one after the other; ascending within a row."""

    weights: FloatArray

    offsets: NDArray[np.int64]
    """Shape [rows * blocks + 1]."""


@dataclass(frozen=True, slots=True)
class HashedTexts:
    """All n-grams of a batch, before a vocabulary is known; in no order."""

    rows: NDArray[np.int64]
    """Shape [occurrences]."""

    keys: Keys
    """Shape [occurrences]: the block above 40 bits of hash."""

    size: int
    """Number of rows."""


def hash_texts(titles: Sequence[str], descriptions: Sequence[str]) -> HashedTexts:
    """Hashes texts; `titles` and `descriptions` have one entry per row."""
    return stack([_hash_chunk(*chunk) for chunk in _chunks(titles, descriptions)])


def stack(parts: Sequence[HashedTexts]) -> HashedTexts:
    """All rows of several parts, one after the other."""
    if len(parts) == 1:
        return parts[0]
    starts = np.cumsum([0] + [part.size for part in parts])
    return HashedTexts(
        np.concatenate([part.rows + start for part, start in zip(parts, starts[:-1], strict=True)]),
        np.concatenate([part.keys for part in parts]),
        int(starts[-1]),
    )


def _chunks(titles: Sequence[str], descriptions: Sequence[str]) -> Iterator[tuple[Sequence[str], Sequence[str]]]:
    start = characters = 0
    for row, (title, description) in enumerate(zip(titles, descriptions, strict=True)):
        size = len(title) + len(description)
        if row > start and (row - start == _CHUNK_ROWS or characters + size > _CHUNK_CHARACTERS):
            yield titles[start:row], descriptions[start:row]
            start, characters = row, 0
        characters += size
    yield titles[start:], descriptions[start:]


def _hash_chunk(titles: Sequence[str], descriptions: Sequence[str]) -> HashedTexts:
    batch = TextBatch(titles, descriptions)
    text, title = batch.words(), batch.words(0)
    grams = (
        (0, text.whole(10)),
        (0, text.beginnings(_STEM, 20)),
        (1, title.characters(2, 5, 100)),
        (2, title.whole(1)),
        (2, title.beginnings(_STEM, 30)),
    )
    pairs = (
        (0, text.pairs(12, _STEM)),
        (1, title.pairs(2)),
        (1, title.pairs(4, _STEM)),
        (2, title.pairs(33, _TITLE_STEM)),
    )
    rows, keys = mixed([each for _, each in grams], [each for _, each in pairs])
    kinds = [(block, each.rows) for block, each in (*grams, *pairs)]
    keys >>= _DROPPED_BITS
    keys |= _BLOCK_KEYS[[block for block, _ in kinds]].repeat([len(occurrences) for _, occurrences in kinds])
    return HashedTexts(rows, keys, len(titles))


class TextEncoder:
    """The vocabulary of each block: sorted hashes of the n-grams that it keeps, and their weights."""

    def __init__(self, vocabularies: Sequence[Keys], idf: Sequence[FloatArray]) -> None:
        """Args:
        vocabularies: One per block, hashes of 40 bits.
        idf: The same n-grams' inverse document frequencies.
        """
        self.vocabularies = list(vocabularies)
        self.idf = list(idf)
        self._index = KeyIndex(
            np.concatenate([keys | block for keys, block in zip(vocabularies, _BLOCK_KEYS, strict=True)]),
            bits=len(_BLOCK_KEYS).bit_length() + int(_HASH_BITS),
        )
        self._idf = np.concatenate(self.idf)

    @property
    def sizes(self) -> list[int]:
        """N-grams kept in each block."""
        return [len(vocabulary) for vocabulary in self.vocabularies]

    @classmethod
    def fit(cls, texts: HashedTexts, *, min_count: int) -> TextEncoder:
        """Keeps what at least `min_count` rows have; idf is smoothed as if one more row had everything."""
        order = np.lexsort((texts.rows, texts.keys))
        keys, rows = texts.keys[order], texts.rows[order]
        new = np.ones(len(keys), dtype=bool)
        new[1:] = (keys[1:] != keys[:-1]) | (rows[1:] != rows[:-1])
        keys, documents = np.unique(keys[new], return_counts=True)
        kept = documents >= min_count
        keys, documents = keys[kept], documents[kept]
        idf = (np.log((1 + texts.size) / (1 + documents)) + 1).astype(np.float32)
        bounds = keys.searchsorted(_BLOCK_KEYS[1:])
        return cls(np.split(keys & _HASH_MASK, bounds), np.split(idf, bounds))

    def encode(self, titles: Sequence[str], descriptions: Sequence[str]) -> Bags:
        """Encodes texts; n-grams outside the vocabulary are left out."""
        return self.encode_hashed(hash_texts(titles, descriptions))

    def encode_hashed(self, texts: HashedTexts) -> Bags:
        """Encodes texts that are hashed already."""
        bags = texts.size * len(BLOCKS)
        offsets = np.zeros(bags + 1, dtype=np.int64)
        if not len(self._index):
            return Bags(np.zeros(0, np.int32), np.zeros(0, np.float32), offsets)
        known, ids = self._index.find(texts.keys)
        bag = texts.rows[known] * len(BLOCKS)
        bag += (texts.keys[known] >> _HASH_BITS).view(np.int64)
        bag, ids, counts = self._counted(bag, ids, bags)
        weights = np.log(counts)
        weights += 1.0
        weights *= self._idf[ids]
        squares = np.bincount(bag, weights * weights, minlength=bags).reshape(texts.size, len(BLOCKS))
        weights *= (_LENGTHS / np.sqrt(np.maximum(squares, 1e-12))).ravel()[bag]
        np.add.accumulate(np.bincount(bag, minlength=bags), out=offsets[1:])
        return Bags(ids.astype(np.int32), weights.astype(np.float32), offsets)

    def _counted(self, bag: Places, ids: Places, bags: int) -> tuple[Places, Places, Places]:
        """Distinct pairs of bag and id, ascending, and how often each occurs."""
        bits = len(self._index).bit_length()
        pairs = (bag << bits) | ids
        if bags << bits < _NARROW:
            pairs = pairs.astype(np.uint32)  # sorts in half the time
        pairs.sort()
        new = np.ones(len(pairs), dtype=bool)
        np.not_equal(pairs[1:], pairs[:-1], out=new[1:])
        first = new.nonzero()[0]
        distinct = pairs[first].astype(np.int64)
        counts = np.empty(len(first), dtype=np.int64)
        counts[-1:] = len(pairs)
        counts[:-1] = first[1:]
        counts -= first
        return distinct >> bits, distinct & ((1 << bits) - 1), counts
