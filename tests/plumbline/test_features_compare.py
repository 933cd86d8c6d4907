"""When two feature values count as equal."""

from __future__ import annotations

import math

import pytest

from plumbline.features.compare import differing, none_for_nan, same


@pytest.mark.parametrize(
    ("offline", "online"),
    [(3.0, 3), (0.1 + 0.2, 0.3), ("21", "21"), (None, None), (0.0, 0.0), (math.pi, math.pi)],
)
def test_equal_values(offline: object, online: object) -> None:
    assert same(offline, online, tolerance=1e-9)


@pytest.mark.parametrize(
    ("offline", "online"),
    [
        (3.0, 4),
        (3.0000000001, 3),
        (1.0, 1.00000001),
        ("21", "22"),
        (None, 0),
        (0.0, None),
        ("", None),
        ("1", 1),
        (0.0, 1e-300),
    ],
)
def test_different_values(offline: object, online: object) -> None:
    assert not same(offline, online, tolerance=1e-9)


def test_nan_is_nothing_stated_and_an_absent_feature_differs() -> None:
    assert none_for_nan(math.nan) is None
    assert differing({"a": math.nan, "b": 1.0}, {"a": None}, 1e-9) == {"b": (1.0, None)}
