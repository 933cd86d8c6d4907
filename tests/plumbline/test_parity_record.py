"""Parity is what was measured and recorded; each reason against a record is a sentence with what to do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from plumbline import paths
from plumbline.errors import IntegrityError
from plumbline.features.parity_record import ParityRecord, keep_parity, newest_parity, objections, parity_key
from plumbline.settings import Settings

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def record(at: datetime = NOW, **changes: Any) -> ParityRecord:
    definition = changes.get("definition", "d" * 64)
    return ParityRecord(
        **{
            "key": parity_key("snap", "own_v1", definition, at),
            "snapshot_id": "snap",
            "service": "own_v1",
            "definition": definition,
            "measured_at": at,
            "command": "plumbline features parity",
            "version": "1.0",
            "seed": 0,
            "views_until": at,
            "served_until": at,
            "checked": 1_000,
            "matched": 1_000,
            "served": 800,
            "expired": 100,
            "missing": 100,
            "share": 1.0,
            **changes,
        }
    )


def against(found: ParityRecord | None, *, definition: str | None = "d" * 64) -> list[str]:
    return objections(
        found, snapshot_id="snap", service="own_v1", definition=definition, as_of="2026-03-01", min_pairs=100
    )


def test_nothing_is_said_against_full_agreement() -> None:
    assert against(record()) == []
    assert against(record(), definition=None) == []


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (None, "was not measured on this snapshot"),
        (record(definition="e" * 64), "for another definition of own_v1"),
        (record(matched=999, share=0.999), "agree on 99.90% of the 1,000 pairs"),
        (record(served=0), "so their agreement says nothing"),
        (record(checked=99, matched=99), "on 99 pairs at 2026-03-01T12:00:00+00:00"),
        (record(checked=0, matched=0, served=0, share=0.0), "says nothing"),
    ],
)
def test_each_reason_is_a_sentence(found: ParityRecord | None, said: str) -> None:
    assert said in " ".join(against(found))


def test_the_command_that_measures_is_named() -> None:
    for found in (None, record(definition="e" * 64), record(matched=1), record(checked=9, matched=9)):
        assert "`plumbline features prepare --snapshot snap --as-of 2026-03-01` measures it." in against(found)[-1]


def test_the_last_measurement_counts_and_the_others_stay(settings: Settings) -> None:
    assert newest_parity(settings, "snap", "own_v1") is None
    first, second = record(), record(NOW + timedelta(hours=1), matched=999, share=0.999)
    keep_parity(settings, first)
    keep_parity(settings, second)
    assert newest_parity(settings, "snap", "own_v1") == second
    assert newest_parity(settings, "snap", "another_v1") is None
    for each in (first, second):
        stored = paths.objects_dir(settings) / each.key
        assert ParityRecord.model_validate_json(stored.read_bytes()) == each


def test_what_is_no_record_is_refused(settings: Settings) -> None:
    keep_parity(settings, record())
    (paths.objects_dir(settings) / "features/parity/snap/own_v1/newest.json").write_text('{"share": 1.0}')
    with pytest.raises(IntegrityError, match="features parity --snapshot snap"):
        newest_parity(settings, "snap", "own_v1")
