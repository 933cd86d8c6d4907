"""Hashed words, word pairs, word beginnings and character n-grams of many texts at once, in numpy.

A whole batch becomes one array of code points, and every n-gram's hash is a polynomial over it, computed
for all positions together. There is no Python loop over words, so that one posting costs a few hundred
microseconds, and the result never depends on the interpreter's hash seed.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
HashArray = NDArray[np.uint64]

NGRAMS_VERSION: Final = 1
"""Part of the artefact: a model that was trained with other hashes must not be read with these."""

_EXTRA_WORD_CHARACTERS: Final = "+#"
"""Kept inside words, for C++ and C#."""

_TABLE_SIZE: Final = 0x10000
"""Code points beyond (emoji, historic scripts) count as separators."""

_LONGEST_WORD: Final = 64
_BASE: Final = 0x9E3779B97F4A7C15
_ALL_BITS: Final = 0xFFFFFFFFFFFFFFFF
_SPACE: Final = 32


def _word_characters() -> NDArray[np.bool_]:
    table = np.zeros(_TABLE_SIZE, dtype=bool)
    for code in range(_TABLE_SIZE):
        character = chr(code)
        table[code] = character.isalnum() or character in _EXTRA_WORD_CHARACTERS
    return table


_IS_WORD: Final = _word_characters()
_POWERS: Final = np.array([pow(_BASE, k, 1 << 64) for k in range(_LONGEST_WORD)], dtype=np.uint64)


def mix(values: HashArray, salt: int) -> HashArray:
    """Spreads polynomial hashes over all 64 bits (finaliser of SplitMix64, Steele et al. 2014)."""
    z = values + np.uint64((salt * _BASE) & _ALL_BITS)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@dataclass(frozen=True)
class Hashes:
    """Occurrences of n-grams, in text order within each kind."""

    rows: IntArray
    """Shape [occurrences]: which text."""
    values: HashArray
    """Shape [occurrences]: 64-bit hash of the n-gram."""


class TextBatch:
    """Lower-cased code points of a batch, with the places of its words."""

    def __init__(self, texts: Sequence[str]) -> None:
        lowered = [unicodedata.normalize("NFKC", text).lower() for text in texts]
        lengths = np.fromiter((len(text) + 1 for text in lowered), dtype=np.int64, count=len(lowered))
        joined = " " + " ".join(lowered) + " "
        raw = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        codes = np.minimum(raw, _TABLE_SIZE - 1)
        in_word = _IS_WORD[codes]
        edges = np.flatnonzero(in_word[1:] != in_word[:-1]) + 1
        self._starts: IntArray = edges[0::2]
        self._ends: IntArray = edges[1::2]
        self._codes = codes
        self._in_word = in_word
        self._row_ends = np.cumsum(lengths)
        self._sizes = np.minimum(self._ends - self._starts, _LONGEST_WORD)
        self._firsts = np.cumsum(self._sizes) - self._sizes
        self._sums = self._letter_sums()
        self._word_rows: IntArray = np.searchsorted(self._row_ends, self._starts, side="right")

    @property
    def word_count(self) -> int:
        """Words in the whole batch."""
        return len(self._starts)

    def words(self, salt: int) -> Hashes:
        """Each word."""
        return Hashes(self._word_rows, mix(self._word_polynomials(_LONGEST_WORD), salt))

    def beginnings(self, length: int, salt: int) -> Hashes:
        """The first `length` characters of each longer word: a cheap stem for inflected languages."""
        long = (self._ends - self._starts) > length
        return Hashes(self._word_rows[long], mix(self._word_polynomials(length)[long], salt))

    def pairs(self, salt: int, beginning: int = _LONGEST_WORD) -> Hashes:
        """Each word with its successor in the same text, both cut to `beginning` characters."""
        words = mix(self._word_polynomials(beginning), salt)
        together = self._word_rows[1:] == self._word_rows[:-1]
        pairs = words[:-1] * np.uint64(3) + words[1:]
        return Hashes(self._word_rows[:-1][together], mix(pairs[together], salt + 1))

    def characters(self, shortest: int, longest: int, salt: int) -> Hashes:
        """Character n-grams within words, their edges marked by a space (as `char_wb` of scikit-learn)."""
        kept = self._in_word.copy()
        kept[1:] |= self._in_word[:-1]
        kept[0] = True
        places = np.flatnonzero(kept)
        in_word = self._in_word[places]
        codes = np.where(in_word, self._codes[places], _SPACE).astype(np.uint64)
        spaces = np.cumsum(~in_word)
        rows = np.searchsorted(self._row_ends, places, side="right")
        all_rows: list[IntArray] = []
        all_values: list[HashArray] = []
        polynomial = codes.copy()
        for n in range(2, longest + 1):
            size = len(codes) - n + 1
            if size <= 0:
                break
            polynomial = polynomial[:size] + codes[n - 1 :] * _POWERS[n - 1]
            if n < shortest:
                continue
            inner = spaces[n - 2 : n - 2 + size] == spaces[:size]
            if n == 2:
                inner = in_word[:size] | in_word[1 : size + 1]
            valid = np.flatnonzero(inner)
            first = np.where(in_word[valid], valid, valid + 1)
            all_rows.append(rows[first])
            all_values.append(polynomial[valid] + np.uint64((n * _BASE) & _ALL_BITS))  # salts `mix` by n
        if not all_rows:
            return Hashes(np.zeros(0, np.int64), np.zeros(0, np.uint64))
        return Hashes(np.concatenate(all_rows), mix(np.concatenate(all_values), salt))

    def _word_polynomials(self, length: int) -> HashArray:
        """Of the first `length` characters of each word."""
        polynomials: HashArray = self._sums[self._firsts + np.minimum(self._sizes, length)] - self._sums[self._firsts]
        return polynomials

    def _letter_sums(self) -> HashArray:
        """Running sums of character times power, over the words' characters, modulo 2^64."""
        position = np.arange(int(self._sizes.sum())) - np.repeat(self._firsts, self._sizes)
        letters = self._codes[np.repeat(self._starts, self._sizes) + position].astype(np.uint64)
        sums = np.zeros(len(letters) + 1, dtype=np.uint64)
        np.cumsum(letters * _POWERS[position], out=sums[1:])
        return sums
