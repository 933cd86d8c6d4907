"""Which requests are kept when not all of them can be."""

from __future__ import annotations

import hashlib

_RANGE = float(1 << 64)


def position(request_id: str) -> float:
    """Where a request stands in [0, 1): it is kept where the share is above that.

    The same in every replica, in every process and for every role, so that the champion's and the shadow's records
    of a request are kept together; and what is kept at 1/4 is also kept at 1/2.
    """
    digest = hashlib.blake2b(request_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / _RANGE
