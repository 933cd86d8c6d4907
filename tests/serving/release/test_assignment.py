"""The same clients on every replica and after every restart, as many as the weight says, others next time."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

import pytest

from serving.release.assignment import Assignment, key_of

KEYS = [f"company {number}" for number in range(20_000)]


@pytest.mark.parametrize("weight", [0.01, 0.05, 0.5])
def test_the_share_of_keys_is_the_weight(weight: float) -> None:
    taken = sum(map(Assignment("abc", weight).takes, KEYS))
    spread = (weight * (1 - weight) * len(KEYS)) ** 0.5
    assert abs(taken - weight * len(KEYS)) < 4 * spread


def test_nobody_and_everybody() -> None:
    assert not any(map(Assignment("abc", 0.0).takes, KEYS))
    assert all(map(Assignment("abc", 1.0).takes, KEYS))


def test_another_process_assigns_alike() -> None:
    script = (
        "from serving.release.assignment import Assignment\n"
        "print([n for n in range(1000) if Assignment('abc', 0.05).takes(f'company {n}')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env={"PYTHONHASHSEED": "7"}, capture_output=True, text=True, check=True
    )
    here = Assignment("abc", 0.05)
    assert done.stdout.strip() == str([n for n in range(1000) if here.takes(f"company {n}")])


def test_a_larger_weight_keeps_those_who_have_it() -> None:
    small, large = Assignment("abc", 0.05), Assignment("abc", 0.2)
    assert all(large.takes(key) for key in KEYS if small.takes(key))


def test_the_next_release_begins_with_other_clients() -> None:
    first, second = Assignment("abc", 0.1), Assignment("abd", 0.1)
    both = sum(first.takes(key) and second.takes(key) for key in KEYS)
    assert both < 0.02 * len(KEYS)


@pytest.mark.parametrize("weight", [-0.1, 1.1, float("nan")])
def test_a_weight_that_is_no_share_is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match="a share"):
        Assignment("abc", weight)


@dataclass
class _Posting:
    company: str | None
    posting_id: str = "p-1"


@dataclass
class _Query:
    posting: _Posting
    assignment_key: str = ""


@pytest.mark.parametrize(
    ("query", "key"),
    [
        (_Query(_Posting("Example"), "mine"), "mine"),
        (_Query(_Posting("Example")), "Example"),
        (_Query(_Posting(None)), "p-1"),
    ],
)
def test_the_key_is_the_clients_own_else_the_company_else_the_posting(query: _Query, key: str) -> None:
    assert key_of(query) == key  # type: ignore[arg-type]
