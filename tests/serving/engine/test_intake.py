"""Batches are read in one go or, where they are large or wrong, row by row: to the same end."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from serving.engine import intake
from serving.engine.intake import parse_posting, parse_postings
from serving.errors import RequestRefusedError

Posting = dict[str, Any]


def _parse(body: bytes, limit: int = 64) -> list[Any]:
    return asyncio.run(parse_postings(body, limit=limit, max_depth=16))


@pytest.fixture
def rows(posting: Posting) -> list[Posting]:
    plain = {**posting, "location": " ", "salary_min": None}
    masked = {**posting, "description": "Call 0048 600 100 200 or write to a@example.com."}
    return [{**(masked if number % 3 else plain), "posting_id": f"p-{number}"} for number in range(40)]


def test_both_ways_read_the_same_as_each_posting_alone(rows: list[Posting], monkeypatch: pytest.MonkeyPatch) -> None:
    alone = [parse_posting(json.dumps(row).encode(), max_depth=16) for row in rows]
    body = json.dumps({"postings": rows}).encode()
    assert _parse(body) == alone
    monkeypatch.setattr(intake, "_READ_AT_ONCE", 0)
    assert _parse(body) == alone


@pytest.mark.parametrize("at_once", [0, 1 << 20])
@pytest.mark.parametrize(
    ("change", "status", "named"),
    [
        ({"postings": []}, 422, "0 postings"),
        ({"extra": 1}, 422, "extra"),
        ({"postings": {}}, 422, "postings"),
        ({"postings": "p"}, 422, "postings"),
    ],
)
def test_both_ways_refuse_the_same(
    rows: list[Posting],
    monkeypatch: pytest.MonkeyPatch,
    at_once: int,
    change: dict[str, Any],
    status: int,
    named: str,
) -> None:
    monkeypatch.setattr(intake, "_READ_AT_ONCE", at_once)
    with pytest.raises(RequestRefusedError) as refused:
        _parse(json.dumps({"postings": rows, **change}).encode())
    assert refused.value.status == status
    assert named in f"{refused.value.detail} {refused.value.fields}"


@pytest.mark.parametrize("at_once", [0, 1 << 20])
def test_a_wrong_row_is_named_and_too_many_are_refused(
    rows: list[Posting], monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(intake, "_READ_AT_ONCE", at_once)
    with pytest.raises(RequestRefusedError) as refused:
        _parse(json.dumps({"postings": rows}).encode(), limit=39)
    assert list(refused.value.fields) == [("postings", "40 postings: send 1 to 39")]
    rows[17]["title"] = ""
    with pytest.raises(RequestRefusedError) as refused:
        _parse(json.dumps({"postings": rows}).encode())
    assert [field for field, _ in refused.value.fields] == ["postings.17.title"]


@pytest.mark.parametrize("at_once", [0, 1 << 20])
@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_what_is_not_json_is_refused_in_either_way(
    rows: list[Posting], monkeypatch: pytest.MonkeyPatch, at_once: int, word: str
) -> None:
    monkeypatch.setattr(intake, "_READ_AT_ONCE", at_once)
    body = json.dumps({"postings": rows}).replace('"salary_min": null', f'"salary_min": {word}')
    with pytest.raises(RequestRefusedError) as refused:
        _parse(body.encode())
    assert (refused.value.status, refused.value.title) == (400, "invalid-json")
    rows[3]["title"] = f"{word} tester"
    assert _parse(json.dumps({"postings": rows}).encode())[3].title == f"{word} tester"


@pytest.mark.parametrize("at_once", [0, 1 << 20])
def test_the_depth_that_is_allowed_holds_in_either_way(
    rows: list[Posting], monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(intake, "_READ_AT_ONCE", at_once)
    body = json.dumps({"postings": rows}).encode()
    assert len(asyncio.run(parse_postings(body, limit=64, max_depth=3))) == len(rows)
    with pytest.raises(RequestRefusedError, match="more than 2 inside each other"):
        asyncio.run(parse_postings(body, limit=64, max_depth=2))
