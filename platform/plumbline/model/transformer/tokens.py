"""Texts into token ids. The tokenizer is Rust, and leaves the interpreter lock to others while it works."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Tokens:
    """Token ids of a batch, padded to its longest text."""

    ids: Ids
    """Shape [rows, tokens]."""

    lengths: Ids
    """Shape [rows]: tokens that are no padding."""

    def __len__(self) -> int:
        return len(self.lengths)

    def take(self, rows: NDArray[np.int64]) -> Tokens:
        """The given rows, cut to their longest."""
        lengths = self.lengths[rows]
        return Tokens(self.ids[rows, : int(lengths.max(initial=0))], lengths)


class PostingTokenizer:
    """Title and description as one text, a full stop between them, cut to a number of tokens. Thread-safe."""

    def __init__(self, content: str, *, max_tokens: int) -> None:
        """Args:
        content: Of a `tokenizer.json`.
        max_tokens: Longer texts lose their end.
        """
        self.content = content
        self.max_tokens = max_tokens
        self._tokenizer = Tokenizer.from_str(content)
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_tokens)

    def encode(self, titles: Sequence[str], descriptions: Sequence[str]) -> Tokens:
        """Encodes texts, one title and one description per row."""
        # A lone surrogate is a valid str and no valid UTF-8, which is what Rust wants.
        texts = [
            f"{title}. {description}".encode("utf-8", "replace").decode("utf-8")
            for title, description in zip(titles, descriptions, strict=True)
        ]
        found = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(texts)]
        lengths = np.fromiter(map(len, found), dtype=np.int64, count=len(found))
        ids = np.zeros((len(found), int(lengths.max(initial=0))), dtype=np.int64)
        for row, tokens in enumerate(found):
            ids[row, : len(tokens)] = tokens
        return Tokens(ids, lengths)
