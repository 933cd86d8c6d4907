"""Hashed words, word pairs, word beginnings and character n-grams of many texts at once, in numpy.

A whole batch becomes one array of characters. The hash of an n-gram is a polynomial over its characters, modulo 2^64,
and every one of them is a difference of two running sums: with S[j] the sum of c[i] B^i over i < j, the characters
from a to b give (S[b] - S[a]) B^-a, and B, being odd, has an inverse. What one posting costs is the number of numpy
calls, so all n-grams of a batch, of whatever kind, are mixed together. Nothing depends on the interpreter's hash seed.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
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
_MODULUS: Final = 1 << 64
_SPACE: Final = np.uint64(32)
_THREE: Final = np.uint64(3)

_CASED_BY_CONTEXT: Final = "Σİ"
"""The two letters whose lower case is not one letter of its own: a final sigma differs, and a dotted I becomes two."""


def _letter_table() -> HashArray:
    """The lower case of each code point that words are made of; a space for every other one."""
    table = np.full(_TABLE_SIZE, _SPACE, dtype=np.uint64)
    for code in range(_TABLE_SIZE):
        lowered = chr(code).lower()
        if len(lowered) == 1 and (lowered.isalnum() or lowered in _EXTRA_WORD_CHARACTERS):
            table[code] = ord(lowered)
    return table


_LETTERS: Final = _letter_table()


class _Powers:
    """Powers of the base and of its inverse, as many as the longest batch so far needed."""

    def __init__(self) -> None:
        self._tables = self._made(1 << 12)

    def upto(self, count: int) -> tuple[HashArray, HashArray]:
        """At least `count` powers and inverse powers, from the zeroth."""
        tables = self._tables
        if len(tables[0]) < count:
            # One assignment: a thread that grows them too only does it twice.
            self._tables = tables = self._made(1 << (count - 1).bit_length())
        return tables

    @staticmethod
    def _made(count: int) -> tuple[HashArray, HashArray]:
        both = []
        for factor in (_BASE, pow(_BASE, -1, _MODULUS)):
            powers = np.full(count, factor, dtype=np.uint64)
            powers[0] = 1
            both.append(np.multiply.accumulate(powers))
        return both[0], both[1]


_POWERS: Final = _Powers()


@cache
def _salt(number: int) -> np.uint64:
    return np.uint64(number * _BASE % _MODULUS)


@dataclass(frozen=True, slots=True)
class Grams:
    """Occurrences of n-grams of one kind."""

    rows: IntArray
    """Shape [occurrences]: which row of the batch."""

    values: HashArray
    """Shape [occurrences]: polynomial, salted by the kind, not mixed yet."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Words of a kind, of which neighbours are to be hashed together."""

    rows: IntArray
    """Shape [pairs]."""

    words: HashArray
    """Shape [words]: polynomial, salted, not mixed yet."""

    firsts: IntArray
    """Shape [pairs]: place of the first word in `words`; the second one follows it."""

    salt: int


def mixed(grams: Sequence[Grams], pairs: Sequence[Pairs]) -> tuple[IntArray, HashArray]:
    """Rows and 64-bit hashes of all occurrences: one kind after the other, the pairs last."""
    values = np.concatenate([*(each.values for each in grams), *(each.words for each in pairs)])
    _mix(values)
    place = single = sum(len(each.values) for each in grams)
    neighbours = [values[:single]]
    for each in pairs:
        words = values[place : place + len(each.words)]
        place += len(each.words)
        both = words[each.firsts]
        both *= _THREE
        both += words[each.firsts + 1]
        both += _salt(each.salt + 1)
        neighbours.append(both)
    hashes = np.concatenate(neighbours)
    _mix(hashes[single:])
    return np.concatenate([*(each.rows for each in grams), *(each.rows for each in pairs)]), hashes


def mix(values: HashArray, salt: int) -> HashArray:
    """The hashes of some values."""
    hashes = values + _salt(salt)
    _mix(hashes)
    return hashes


def _mix(z: HashArray) -> None:
    """Spreads salted polynomials over all 64 bits, in place (finaliser of SplitMix64, Steele et al. 2014)."""
    for bits, factor in _ROUNDS:
        z ^= z >> bits
        z *= factor
    z ^= z >> _LAST_SHIFT


_ROUNDS: Final = (
    (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)),
    (np.uint64(27), np.uint64(0x94D049BB133111EB)),
)
_LAST_SHIFT: Final = np.uint64(31)


class TextBatch:
    """Characters of a batch's texts, and the places of their words.

    Args:
        columns: One or more, each with one text per row. A row's texts follow each other, a space between them.
    """

    def __init__(self, *columns: Sequence[str]) -> None:
        self._width = len(columns)
        texts = columns[0] if self._width == 1 else [text for row in zip(*columns, strict=True) for text in row]
        joined, texts = _normal(texts)
        codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        letters = _LETTERS.take(codes, mode="clip")
        in_word = letters != _SPACE
        edges = (in_word[1:] != in_word[:-1]).nonzero()[0]
        edges += 1
        self._starts: IntArray = edges[0::2]
        self._sizes: IntArray = edges[1::2] - self._starts
        powers, self._inverses = _POWERS.upto(len(letters) + 1)
        letters *= powers[: len(letters)]
        self._sums = np.zeros(len(letters) + 1, dtype=np.uint64)
        np.add.accumulate(letters, out=self._sums[1:])
        ends = np.fromiter((len(text) + 1 for text in texts), dtype=np.int64, count=len(texts))
        np.add.accumulate(ends, out=ends)
        words = self._starts.searchsorted(ends)
        words[1:] -= words[:-1]
        self._texts: IntArray = np.arange(len(texts)).repeat(words)

    def words(self, column: int | None = None) -> Words:
        """The words of every row, or of one column of it."""
        if column is None:
            return Words(self._texts // self._width, self._starts, self._sizes, self._sums, self._inverses)
        kept = (self._texts % self._width == column).nonzero()[0]
        rows = self._texts[kept] // self._width
        return Words(rows, self._starts[kept], self._sizes[kept], self._sums, self._inverses)


class Words:
    """Some words of a batch, in the order of the text, and the n-grams that they make."""

    def __init__(self, rows: IntArray, starts: IntArray, sizes: IntArray, sums: HashArray, inverses: HashArray) -> None:
        self.rows = rows
        self._starts = starts
        self._sizes = sizes
        self._sums = sums
        self._inverses = inverses
        self._before = sums[starts]
        self._factors = inverses[starts]
        self._known: dict[int, HashArray] = {}
        self._firsts: IntArray = (rows[1:] == rows[:-1]).nonzero()[0]

    def whole(self, salt: int) -> Grams:
        """Each word, by its first 64 characters."""
        return Grams(self.rows, self._polynomials(_LONGEST_WORD) + _salt(salt))

    def beginnings(self, length: int, salt: int) -> Grams:
        """The first `length` characters of each longer word: a cheap stem for inflected languages."""
        longer = (self._sizes > length).nonzero()[0]
        return Grams(self.rows[longer], self._polynomials(length)[longer] + _salt(salt))

    def pairs(self, salt: int, beginning: int = _LONGEST_WORD) -> Pairs:
        """Each word with its successor in the same row, both cut to `beginning` characters."""
        return Pairs(self.rows[self._firsts], self._polynomials(beginning) + _salt(salt), self._firsts, salt)

    def characters(self, shortest: int, longest: int, salt: int) -> Grams:
        """Character n-grams within words, their edges marked by a space (as `char_wb` of scikit-learn)."""
        padded = self._sizes + 2
        behind = np.add.accumulate(padded)
        starts = (self._starts - 1 - (behind - padded)).repeat(padded)
        starts += np.arange(len(starts))
        left = (self._starts + self._sizes + 1).repeat(padded) - starts
        lengths, salts = _lengths(shortest, longest, salt)
        which, place = (left >= lengths[:, None]).nonzero()
        begins = starts[place]
        values = self._sums[begins + lengths[which]] - self._sums[begins]
        values *= self._inverses[begins]
        values += salts[which]
        return Grams(self.rows.repeat(padded)[place], values)

    def _polynomials(self, length: int) -> HashArray:
        """Of the first `length` characters of each word."""
        values = self._known.get(length)
        if values is None:
            values = self._sums[self._starts + np.minimum(self._sizes, length)]
            values -= self._before
            values *= self._factors
            self._known[length] = values
        return values


@cache
def _lengths(shortest: int, longest: int, salt: int) -> tuple[IntArray, HashArray]:
    """Lengths of character n-grams, and the salt of each."""
    lengths = np.arange(shortest, longest + 1)
    return lengths, np.array([_salt(salt + n) for n in range(shortest, longest + 1)], dtype=np.uint64)


def _normal(texts: Sequence[str]) -> tuple[str, Sequence[str]]:
    """All texts in one, between spaces, and each by itself: in NFKC, and in lower case where the table cannot tell."""
    joined = f" {' '.join(texts)} "
    normal = unicodedata.normalize("NFKC", joined)
    by_context = any(letter in normal for letter in _CASED_BY_CONTEXT)
    if normal == joined and not by_context:
        return joined, texts
    each = [unicodedata.normalize("NFKC", text) for text in texts]
    if by_context:
        each = [text.lower() for text in each]
    return f" {' '.join(each)} ", each
