"""Hashed n-grams against a plain implementation."""

from __future__ import annotations

import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from plumbline.model.ngrams import TextBatch
from plumbline.model.text import hash_texts

TEXTS = ["Spawacz MIG/MAG", "", "  C++ oraz C#, 5 lat!", "żółć ŻÓŁĆ", "a b", "inżynier-konstruktor 日本 😀 koniec"]


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:[+#]|[^\W_])*|[+#]+(?:[+#]|[^\W_])*", text.lower())


def _named(batch: TextBatch, names: list[list[str]]) -> dict[str, set[int]]:
    """Hashes of each word, by its text."""
    flat = [name for row in names for name in row]
    hashes = batch.words(1)
    assert len(hashes.values) == len(flat)
    found: dict[str, set[int]] = {}
    for name, value in zip(flat, hashes.values.tolist(), strict=True):
        found.setdefault(name, set()).add(value)
    return found


def test_words_are_those_of_the_text_and_equal_words_have_equal_hashes() -> None:
    names = [_words(text) for text in TEXTS[:5]]
    batch = TextBatch(TEXTS[:5])
    found = _named(batch, names)
    assert batch.word_count == sum(map(len, names))
    assert {"c++", "c#", "żółć", "mig"} <= set(found)
    assert all(len(values) == 1 for values in found.values())
    assert len({next(iter(values)) for values in found.values()}) == len(found)
    assert batch.words(1).rows.tolist() == [row for row, words in enumerate(names) for _ in words]


def test_hashes_are_fixed_for_ever() -> None:
    """A stored vocabulary is read by later versions: another value here needs a new NGRAMS_VERSION."""
    assert [hex(value) for value in TextBatch(["spawacz C++"]).words(1).values.tolist()] == GOLDEN


def test_a_text_hashes_the_same_alone_and_in_a_batch() -> None:
    whole = hash_texts(TEXTS, TEXTS[::-1])
    for row, (title, description) in enumerate(zip(TEXTS, TEXTS[::-1], strict=True)):
        for block, alone in zip(whole, hash_texts([title], [description]), strict=True):
            here = block.rows == row
            assert np.array_equal(block.hashes[here], alone.hashes)
            assert np.array_equal(block.counts[here], alone.counts)


def test_long_runs_are_hashed_in_chunks_with_the_same_result() -> None:
    texts = [f"text number {number} of many" for number in range(700)]
    whole = hash_texts(texts, texts)
    alone = hash_texts(texts[600:601], texts[600:601])
    for block, single in zip(whole, alone, strict=True):
        assert block.size == 700
        assert np.array_equal(block.hashes[block.rows == 600], single.hashes)


def test_characters_are_those_within_padded_words() -> None:
    def plain(text: str, n: int) -> list[str]:
        padded = [f" {word} " for word in _words(text)]
        return [word[i : i + n] for word in padded for i in range(len(word) - n + 1)]

    for text in TEXTS[:5]:
        for n in (2, 3, 5):
            expected = plain(text, n)
            values = TextBatch([text]).characters(n, n, 0).values
            assert len(values) == len(expected)
            assert len(set(values.tolist())) == len(set(expected))


def test_beginnings_join_inflected_forms() -> None:
    batch = TextBatch(["elektryka elektrykiem dom"])
    values = batch.beginnings(5, 0).values
    assert len(values) == 2
    assert values[0] == values[1]


def test_pairs_do_not_cross_texts() -> None:
    assert TextBatch(["one", "two three", "four"]).pairs(0).rows.tolist() == [1]


@given(st.lists(st.text(max_size=60), max_size=6))
def test_any_text_is_taken(texts: list[str]) -> None:
    for block in hash_texts(texts, texts[::-1]):
        assert block.size == len(texts)
        assert np.all(block.rows < max(len(texts), 1))
        assert np.all(block.counts >= 1)


GOLDEN = ["0x1e28652bf6605b2c", "0x65a8416cc7ce9478"]
