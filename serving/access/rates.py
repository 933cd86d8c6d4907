"""Rate limits: one token bucket per client."""

from __future__ import annotations

import math
import time
from collections import OrderedDict

from plumbline.settings.serving_access import AccessSettings, RateSettings

_MOST_BUCKETS = 10_000
"""Buckets in memory. The one that was idle longest is forgotten first; by then it was full again in all likelihood."""


class Rates:
    """The buckets of one replica.

    Args:
        settings: The common limit and those of single clients.
    """

    def __init__(self, settings: AccessSettings) -> None:
        self._common = settings.rate
        self._own = {name: client.rate for name, client in settings.clients.items() if client.rate is not None}
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    @property
    def limited(self) -> bool:
        """Whether any limit is set."""
        return self._common is not None or bool(self._own)

    def take(self, bucket: str, postings: int = 1) -> float:
        """Takes tokens, all or none.

        Args:
            bucket: Whose.
            postings: How many. More than the bucket ever holds are let in when it is full, and leave it in debt.

        Returns:
            0 if they were there, else the seconds until they will be.
        """
        rate = self._own.get(bucket, self._common)
        if rate is None:
            return 0.0
        found = self._buckets.get(bucket)
        if found is None:
            found = self._buckets[bucket] = _Bucket(rate)
            if len(self._buckets) > _MOST_BUCKETS:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(bucket)
        return found.take(postings)


class _Bucket:
    __slots__ = ("_filled", "_per_second", "_size", "_tokens")

    def __init__(self, rate: RateSettings) -> None:
        self._per_second = rate.per_second
        self._size = float(rate.burst or max(1, math.ceil(rate.per_second)))
        self._tokens = self._size
        self._filled = time.monotonic()

    def take(self, tokens: int) -> float:
        now = time.monotonic()
        self._tokens = min(self._size, self._tokens + (now - self._filled) * self._per_second)
        self._filled = now
        missing = min(float(tokens), self._size) - self._tokens
        if missing > 0:
            return missing / self._per_second
        self._tokens -= tokens
        return 0.0
