"""What a scenario is, and how it decides which postings it moves."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Draw = NDArray[np.float64]


class Change(Protocol):
    """The change of one stream. It may keep what it has seen of the stream."""

    def __call__(self, frame: pd.DataFrame, moved: Mask) -> pd.DataFrame:
        """Changes the rows that are moved.

        Args:
            frame: A copy that may be changed in place.
            moved: Which rows are to be changed, shape (rows,).
        """
        ...


@dataclass(frozen=True)
class Scenario:
    """A named drift.

    Attributes:
        name: Its name on the command line.
        description: What happens upstream.
        kind: `sudden`: whole from the change point on; `gradual`: grows to its full share over some weeks.
        columns: The columns that it moves.
        share: Share of the postings after the change point that it moves once it is whole.
        start: Makes the change for one stream from a seed.
    """

    name: str
    description: str
    kind: Literal["sudden", "gradual"]
    columns: tuple[str, ...]
    share: float
    start: Callable[[int], Change]


def draws(keys: pd.Series, *salt: str | int) -> Draw:
    """Uniform numbers in [0, 1) that depend on the keys and the salt alone, not on the order of rows.

    Args:
        keys: Text, shape (rows,).
        salt: Makes different draws for the same keys.
    """
    hash_key = hashlib.sha256(":".join(map(str, salt)).encode()).hexdigest()[:16]
    hashed = pd.util.hash_array(keys.to_numpy(dtype=object), hash_key=hash_key, categorize=False)
    return hashed.astype(np.float64) / 2.0**64
