"""Hashed n-grams against a plain implementation, and against those of models that are out in the world."""

from __future__ import annotations

import hashlib
import re
import unicodedata

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from model_postings import stream

from plumbline.model.key_index import KeyIndex
from plumbline.model.ngrams import Grams, Pairs, TextBatch, mixed
from plumbline.model.text import HashedTexts, hash_texts

ODD = [
    *["", " ", "Σίσυφος ΟΔΟΣ ΣΑΣ", "İstanbul İŞ", "e\u0301cole \u0301x", "\u0301", "ﬁne ½ ① ㎏", "日本語 の 仕事"],
    *["😀 emoji😀word", "C++/C#  F#...G", "a" * 200 + " b " + "ab" * 40, "x", "\ud800 lone", "한국어 채용", "ǅungla Ǆ"],
    *["ſtraße ẞ", "a\u00a0b\tc\nd", "+ # ++", "12 345,67", "K\u212a Å\u212b", "ΑΣ", "𐐀𐐁 deseret", "𝐀bold"],
    *["Zażółć GĘŚLĄ jaźń: inżynier, inżyniera, inżynierowi", "Müller-Straße, GRÖSSE 5", "Электрик 5-го разряда"],
]
TEXTS = ["Spawacz MIG/MAG", "", "  C++ oraz C#, 5 lat!", "żółć ŻÓŁĆ", "a b", "inżynier-konstruktor 日本 😀 koniec"]


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:[+#]|[^\W_])*|[+#]+(?:[+#]|[^\W_])*", text.lower())


def _hashes(kind: Grams | Pairs) -> list[int]:
    _, values = mixed([kind], []) if isinstance(kind, Grams) else mixed([], [kind])
    return values.tolist()


def _named(batch: TextBatch, names: list[list[str]]) -> dict[str, set[int]]:
    """Hashes of each word, by its text."""
    flat = [name for row in names for name in row]
    hashes = _hashes(batch.words().whole(1))
    assert len(hashes) == len(flat)
    found: dict[str, set[int]] = {}
    for name, value in zip(flat, hashes, strict=True):
        found.setdefault(name, set()).add(value)
    return found


def test_words_are_those_of_the_text_and_equal_words_have_equal_hashes() -> None:
    names = [_words(text) for text in TEXTS[:5]]
    batch = TextBatch(TEXTS[:5])
    found = _named(batch, names)
    assert {"c++", "c#", "żółć", "mig"} <= set(found)
    assert all(len(values) == 1 for values in found.values())
    assert len({next(iter(values)) for values in found.values()}) == len(found)
    assert batch.words().rows.tolist() == [row for row, words in enumerate(names) for _ in words]


def test_hashes_are_fixed_for_ever() -> None:
    """A stored vocabulary is read by later versions: another value here needs a new NGRAMS_VERSION."""
    assert [hex(value) for value in _hashes(TextBatch(["spawacz C++"]).words().whole(1))] == GOLDEN


def _digest(titles: list[str], descriptions: list[str]) -> str:
    """Of the distinct n-grams of each row and block, and how often each occurs."""
    digest = hashlib.sha256()
    hashed = hash_texts(titles, descriptions)
    for row in range(len(titles)):
        keys, counts = np.unique(hashed.keys[hashed.rows == row], return_counts=True)
        digest.update(keys.tobytes() + counts.astype(np.int64).tobytes())
    return digest.hexdigest()


def test_all_kinds_are_fixed_for_ever() -> None:
    assert _digest(ODD, ODD[::-1]) == ODD_DIGEST
    rows = stream(300, seed=5)
    assert _digest(rows["title"].tolist(), rows["description"].tolist()) == STREAM_DIGEST


def test_a_text_hashes_the_same_alone_and_in_a_batch() -> None:
    whole = hash_texts(ODD, ODD[::-1])
    for row, (title, description) in enumerate(zip(ODD, ODD[::-1], strict=True)):
        assert _of(whole, row) == _of(hash_texts([title], [description]), 0)


def _of(hashed: HashedTexts, row: int) -> list[int]:
    return sorted(hashed.keys[hashed.rows == row].tolist())


def test_long_runs_are_hashed_in_chunks_with_the_same_result() -> None:
    texts = [f"text number {number} of many" for number in range(700)]
    whole = hash_texts(texts, texts)
    assert whole.size == 700
    assert _of(whole, 600) == _of(hash_texts(texts[600:601], texts[600:601]), 0)


def test_a_text_longer_than_any_chunk_is_hashed() -> None:
    texts = ["one two", "word " * 60_000, "three four"]
    whole = hash_texts(texts, texts)
    assert [len(_of(whole, row)) > 0 for row in range(3)] == [True] * 3
    assert _of(whole, 2) == _of(hash_texts(texts[2:], texts[2:]), 0)


def test_characters_are_those_within_padded_words() -> None:
    def plain(text: str, n: int) -> list[str]:
        padded = [f" {word} " for word in _words(text)]
        return [word[i : i + n] for word in padded for i in range(len(word) - n + 1)]

    for text in TEXTS[:5]:
        for n in (2, 3, 5):
            expected = plain(text, n)
            values = _hashes(TextBatch([text]).words().characters(n, n, 0))
            assert len(values) == len(expected)
            assert len(set(values)) == len(set(expected))


def test_beginnings_join_inflected_forms() -> None:
    batch = TextBatch(["elektryka elektrykiem dom"])
    values = _hashes(batch.words().beginnings(5, 0))
    assert len(values) == 2
    assert values[0] == values[1]


def test_pairs_do_not_cross_texts() -> None:
    assert TextBatch(["one", "two three", "four"]).words().pairs(0).rows.tolist() == [1]


@given(st.lists(st.text(max_size=60), max_size=6))
def test_any_text_is_taken(texts: list[str]) -> None:
    hashed = hash_texts(texts, texts[::-1])
    assert hashed.size == len(texts)
    assert np.all(hashed.rows < max(len(texts), 1))


def _plain_hash(word: str, salt: int) -> int:
    bits = (1 << 64) - 1
    z = sum(ord(letter) * pow(0x9E3779B97F4A7C15, place, 1 << 64) for place, letter in enumerate(word[:64]))
    z = (z + salt * 0x9E3779B97F4A7C15) & bits
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & bits
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & bits
    return z ^ (z >> 31)


def test_each_character_counts_as_pythons_own_lower_case_of_it() -> None:
    for start in range(0, 0x10000, 0x2000):
        text = " ".join(chr(code) for code in range(start, start + 0x2000))
        lowered = "".join(
            letter if (letter.isalnum() or letter in "+#") and letter < "\uffff" else " "
            for letter in unicodedata.normalize("NFKC", text).lower()
        )
        expected = [_plain_hash(word, 3) for word in lowered.split()]
        assert _hashes(TextBatch([text]).words().whole(3)) == expected


@given(st.sets(st.integers(0, 2**42 - 1), max_size=80), st.lists(st.integers(0, 2**42 - 1), max_size=40))
def test_the_index_finds_what_is_there_and_nothing_else(known: set[int], others: list[int]) -> None:
    keys = np.array(sorted(known), dtype=np.uint64)
    asked = np.array([*others, *known, *(key ^ 1 for key in known)], dtype=np.uint64)
    which, places = KeyIndex(keys, bits=42).find(asked)
    assert which.tolist() == [place for place, key in enumerate(asked.tolist()) if key in known]
    assert keys[places].tolist() == asked[which].tolist()


GOLDEN = ["0x1e28652bf6605b2c", "0x65a8416cc7ce9478"]
ODD_DIGEST = "e32ee144ffdcd27eb5d220df275df28db2a85da05743ca46535d0fb12a5c0ba5"
STREAM_DIGEST = "1ec8f9bae5c2bdb3bfb0776c023813c9b8e532967371147142d658c0eba20598"
