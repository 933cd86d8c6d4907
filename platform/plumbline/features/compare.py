"""When an offline value and an online value are the same."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def differing(
    offline: Mapping[str, Any], online: Mapping[str, Any], tolerance: float
) -> dict[str, tuple[float | int | str | None, float | int | str | None]]:
    """Features whose values differ, with both values (offline, online).

    Nothing stated (None, NaN) equals only itself; text and integers must be equal exactly; floats may differ by
    `tolerance`, relative to the larger.
    """
    found = {}
    for name, ours in offline.items():
        theirs = online.get(name)
        pair = (none_for_nan(ours), none_for_nan(theirs))
        if not same(*pair, tolerance=tolerance):
            found[name] = pair
    return found


def same(offline: Any, online: Any, *, tolerance: float) -> bool:
    """Whether two values, neither of them NaN, are the same."""
    if offline is None or online is None:
        return offline is online
    if isinstance(offline, str) or isinstance(online, str):
        return bool(offline == online)
    if isinstance(online, int):
        return bool(offline == online)
    return math.isclose(offline, online, rel_tol=tolerance, abs_tol=0.0)


def none_for_nan(value: Any) -> Any:
    """None for NaN (pandas' way to say it), and the value itself otherwise."""
    return None if isinstance(value, float) and math.isnan(value) else value
