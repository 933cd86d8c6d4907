"""Rows serve from memory for their time and no longer, and the oldest give way."""

from __future__ import annotations

from datetime import timedelta

from posting_stream import START

from plumbline.features.materialize import materialize
from plumbline.features.memory import RowMemory
from plumbline.features.online import OnlineFeatureReader
from plumbline.settings import Settings


def test_rows_serve_for_their_time_from_when_they_were_asked_for() -> None:
    memory = RowMemory[str](2.0, 10)
    memory.keep({"a": "row", "none": "nothing"}, asked=100.0)
    assert memory.find(["a", "a", "none", "b"], 101.9) == ({"a": "row", "none": "nothing"}, ["b"])
    assert memory.find(["a"], 102.0) == ({}, ["a"])


def test_what_was_asked_for_longest_ago_gives_way() -> None:
    memory = RowMemory[str](100.0, 2)
    memory.keep({"a": "row", "b": "row"}, asked=1.0)
    memory.keep({"a": "row"}, asked=2.0)
    memory.keep({"c": "row"}, asked=3.0)
    assert memory.find(["a", "b", "c"], 4.0)[1] == ["b"]


def test_without_a_time_nothing_is_kept() -> None:
    memory = RowMemory[str](0.0, 2)
    memory.keep({"a": "row"}, asked=1.0)
    assert memory.find(["a"], 1.0) == ({}, ["a"])


def test_the_reader_answers_from_memory_what_it_would_answer_from_the_store(home: Settings) -> None:
    as_of = START + timedelta(days=100)
    materialize(home, as_of)
    postings = [
        {"event_timestamp": as_of, "company": company, "board": "board1", "title": "Cook", "description": "Cooks"}
        for company in ("company1", None, "unheard of")
    ]
    reader = OnlineFeatureReader(home, keep_seconds=60.0)
    assert reader.read_kept(postings) == [None, None, None]
    first = reader.read(postings)
    assert first == OnlineFeatureReader(home).read(postings)
    assert reader.read_kept(postings) == first
    # The time to live counts at each posting's own time, memory or not.
    [old] = reader.read_kept([{**postings[0], "event_timestamp": as_of + timedelta(days=30)}])
    assert old is not None
    assert "board_activity" in old.expired
    # Who needs the store is told apart from who does not.
    mixed = [postings[2], {**postings[0], "board": "another"}, {**postings[0], "company": "another"}, postings[0]]
    assert reader.read_kept(mixed) == [first[2], None, None, first[0]]
    assert OnlineFeatureReader(home).read_kept(postings) == [None, None, None]
