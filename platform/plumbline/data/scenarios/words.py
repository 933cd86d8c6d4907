"""Scenarios in which the words change: a new tool's jargon, a new language of the trade."""

from __future__ import annotations

import hashlib
import random
import re

import pandas as pd

from plumbline.data.scenarios.base import Mask, Scenario

_WORD_SHARE = 0.7
_LEAST_LETTERS = 4
"""Shorter words are mostly grammar, and stay."""

_WORDS = re.compile(rf"<(?:email|phone|link)>|[^\W\d_]{{{_LEAST_LETTERS},}}")
_ALPHABETS = ("aeiouy", "bcdfghjklmnpqrstvwxz", "ąęóáéíúýöüäåøœæ", "ćłńśźżčďňřšťžñç")
"""Letters are exchanged inside their group, so that pseudo-words can be spoken and look at home."""


class Lexicon:
    """One-to-one dictionary from words to pseudo-words, made from a seed.

    About `share` of the words are foreign: their vowels are exchanged among vowels, their consonants among
    consonants. So different words stay different, forms of a word stay akin, and a model that is trained again
    can learn the new words as it learned the old.
    """

    def __init__(self, seed: int, share: float = _WORD_SHARE) -> None:
        self._key = f"lexicon:{seed}".encode()
        self._share = share
        lower = {a: b for alphabet in _ALPHABETS for a, b in _exchange(alphabet, seed).items()}
        upper = {a.upper(): b.upper() for a, b in lower.items()}
        self._letters = str.maketrans({**lower, **upper})
        self._known: dict[str, str] = {}

    def translate(self, text: str) -> str:
        """The text with its foreign words exchanged; placeholders of masked details stay."""
        return _WORDS.sub(lambda match: self.word(match.group()), text)

    def word(self, word: str) -> str:
        """The word, or what stands for it."""
        found = self._known.get(word)
        if found is None:
            found = word.translate(self._letters) if self._is_foreign(word) else word
            self._known[word] = found
        return found

    def _is_foreign(self, word: str) -> bool:
        if word[0] == "<":
            return False
        digest = hashlib.blake2b(word.lower().encode(), digest_size=8, key=self._key).digest()
        return int.from_bytes(digest, "big") < self._share * 2**64


class _Translated:
    def __init__(self, seed: int) -> None:
        self._lexicon = Lexicon(seed)

    def __call__(self, frame: pd.DataFrame, moved: Mask) -> pd.DataFrame:
        for name in ("title", "description"):
            frame.loc[moved, name] = [self._lexicon.translate(text) for text in frame.loc[moved, name]]
        return frame


def _exchange(letters: str, seed: int) -> dict[str, str]:
    """A seeded cycle through the letters: each goes to another, none to itself."""
    order = list(letters)
    random.Random(f"{seed}:{letters}").shuffle(order)  # noqa: S311 - not for secrets
    return dict(zip(order, order[1:] + order[:1], strict=True))


VOCABULARY_SHIFT = Scenario(
    name="vocabulary_shift",
    description="From one day to the next most content words of titles and descriptions are other words, "
    "consistently: a merged portal speaks another jargon.",
    kind="sudden",
    columns=("title", "description"),
    share=1.0,
    start=_Translated,
)
GRADUAL_VOCABULARY_SHIFT = Scenario(
    name="gradual_vocabulary_shift",
    description="The same exchange of words, but posting by posting: a growing share is written in the new jargon.",
    kind="gradual",
    columns=("title", "description"),
    share=1.0,
    start=_Translated,
)
