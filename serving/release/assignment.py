"""Which clients get the canary: the same ones on every replica, and after every restart.

A key's place on the unit interval is a keyed digest of it; the canary takes the places below its weight. So the
assignment needs no memory, raising the weight only adds clients, and the next release, having another key, begins
with other clients. (The bucketing of Tang et al., Overlapping Experiment Infrastructure, KDD 2010, with the keyed
BLAKE2 of RFC 7693 in place of a modulus.)
"""

from __future__ import annotations

import hashlib

from serving.engine.query import Query

_BYTES = 8
_PLACES = 1 << (8 * _BYTES)


class Assignment:
    """Splits keys between champion and canary.

    Args:
        release_id: Salt of the digest, at most 64 bytes.
        weight: Share of the keys that the canary takes, 0 to 1.

    Raises:
        ValueError: The weight is no share.
    """

    __slots__ = ("_digest", "_limit", "release_id", "weight")

    def __init__(self, release_id: str, weight: float) -> None:
        if not 0.0 <= weight <= 1.0:
            raise ValueError(f"the weight of a canary is a share from 0 to 1, not {weight}")
        self.release_id = release_id
        self.weight = weight
        self._limit = round(weight * _PLACES)
        self._digest = hashlib.blake2b(digest_size=_BYTES, key=release_id.encode())

    def takes(self, key: str) -> bool:
        """Whether the canary answers queries with this key; about a microsecond."""
        digest = self._digest.copy()
        digest.update(key.encode())
        return int.from_bytes(digest.digest(), "big") < self._limit


def key_of(query: Query) -> str:
    """What the assignment of a query goes by: its own key, else its company, else its posting."""
    return query.assignment_key or query.posting.company or query.posting.posting_id
