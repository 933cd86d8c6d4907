"""Where keys stand in a sorted array: by a table over their leading bits, several times faster than binary search."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
Places = NDArray[np.int64]

_ENTRIES_PER_KEY: Final = 8
"""Of evenly spread keys, one in nine then shares its entry with another, and most unknown ones meet an empty entry."""

_CROWDED: Final = -2
_EMPTY: Final = -1


class KeyIndex:
    """Finds keys, such as hashes. Immutable; safe to share between threads."""

    def __init__(self, keys: Keys, *, bits: int) -> None:
        """Args:
        keys: Ascending, distinct; their leading bits should be spread evenly.
        bits: Width of a key.
        """
        self._keys = keys
        width = min(bits, (_ENTRIES_PER_KEY * max(len(keys), 1)).bit_length())
        self._shift = np.uint64(bits - width)
        entries, first, counts = np.unique(keys >> self._shift, return_index=True, return_counts=True)
        self._table = np.full(1 << width, _EMPTY, dtype=np.int32)
        self._table[entries] = np.where(counts == 1, first, _CROWDED)

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, keys: Keys) -> tuple[Places, Places]:
        """Which of the given keys are known, ascending, and the place of each of these.

        Args:
            keys: Shape [n], in any order, repeats allowed.
        """
        places = self._table[(keys >> self._shift).view(np.int64)]
        crowded = (places == _CROWDED).nonzero()[0]
        if len(crowded):
            places[crowded] = self._keys.searchsorted(keys[crowded])
        candidates = (places >= 0).nonzero()[0]
        found = places[candidates].astype(np.int64)
        equal = (self._keys.take(found, mode="clip") == keys[candidates]).nonzero()[0]
        return candidates[equal], found[equal]
