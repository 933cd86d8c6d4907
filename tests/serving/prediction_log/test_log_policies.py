"""Sampling, masking, retention: what is kept of a record, of which requests, for how long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from log_records import record, start, with_log

from plumbline.errors import SettingsError, UserError
from plumbline.registry.audit import AuditLog
from plumbline.settings import Settings, load_settings
from plumbline.storage import open_store
from serving.prediction_log import open_log, read, read_left_out, ship
from serving.prediction_log.retention import prune
from serving.prediction_log.sampling import position
from serving.prediction_log.shipping import LEFT_OUT_PREFIX, OBJECT_PREFIX

KEY = "a key that nobody knows"


def test_a_sample_is_the_same_everywhere_carries_its_rate_and_the_rest_is_counted(settings: Settings) -> None:
    names = [f"r{number}" for number in range(2000)]
    log = start(settings, sample_rate=0.25)
    log.append([record(name) for name in names] + [record(name, role="shadow") for name in names])
    assert log.share == 0.25
    log.close()
    kept = read(settings)
    assert list(kept["request_id"]) == [name for name in names if position(name) < 0.25]
    assert set(kept["sample_rate"]) == {0.25}
    assert 400 < len(kept) < 600  # 500 expected, standard deviation 19
    assert list(read(settings, roles=("shadow",))["request_id"]) == list(kept["request_id"])
    for _ in range(2):  # from the spool, then from the store
        (row,) = read_left_out(settings).to_dict("records")
        assert (row["reason"], row["count"], row["least_share"]) == ("policy", 4000 - 2 * len(kept), 0.25)
        assert row["since"] <= row["until"]
        ship(settings)
    assert read_left_out(settings, until=row["since"]).empty
    assert read_left_out(settings, since=row["until"] + timedelta(seconds=1)).empty


def test_fields_are_dropped_and_hashed_before_anything_is_written(settings: Settings) -> None:
    mask = {"company": "hash", "posting_id": "drop", "features.board_size": "hash", "features.seniority": "drop"}
    features = {"board_size": 3.5, "seniority": "senior", "other": 1}
    log = start(settings, mask=mask, mask_key=KEY)
    given = record("a", company="Zakład Pracy", features=features)
    log.append([given, record("b", company="Zakład Pracy", features={}), record("c")])
    log.close()
    spool = b"".join(path.read_bytes() for path in (settings.home / "predictions").rglob("*.jsonl")).decode()
    assert "Zak" not in spool
    assert 'senior"' not in spool
    first, second, third = read(settings).to_dict("records")
    assert first["company"] == second["company"]
    assert len(first["company"]) == 32
    assert third["company"] is None
    assert first["posting_id"] is None
    assert set(first["features"]) == set(features)
    assert (first["features"]["seniority"], first["features"]["other"]) == (None, 1)
    assert first["features"]["board_size"] not in (3.5, "3.5", None)
    assert list(first["masked"]) == sorted(f"{name}:{how}" for name, how in mask.items())
    assert given.company == "Zakład Pracy"  # the answer's own record is as it was
    assert features["seniority"] == "senior"


def test_all_features_can_be_dropped(settings: Settings) -> None:
    log = start(settings, mask={"features": "drop"})
    log.append([record("a")])
    log.close()
    assert read(settings)["features"][0] == {}


def test_hashes_of_another_key_differ(settings: Settings) -> None:
    for key in (KEY, KEY + "!"):
        log = start(settings, mask={"company": "hash"}, mask_key=key)
        log.append([record(key, company="Example")])
        log.close()
    assert read(settings)["company"].nunique() == 2


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"mask": {"title": "drop"}}, "'title' cannot be masked"),
        ({"mask": {"features": "hash"}, "mask_key": KEY}, "as a whole"),
        ({"mask": {"company": "hash"}}, "set mask_key"),
        ({"sample_rate": 0.0}, "sample_rate"),
    ],
)
def test_policies_that_make_no_sense_are_refused(changes: dict[str, object], match: str) -> None:
    with pytest.raises(SettingsError, match=match):
        load_settings(serving={"log": changes})


def test_a_short_key_is_refused_and_not_shown(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="mask_key is too short") as caught:
        start(settings, mask={"company": "hash"}, mask_key="hunter2")
    assert "hunter2" not in str(caught.value)


def test_a_feature_that_there_is_not_cannot_be_masked(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    class Spec:
        name = "board_size"

    monkeypatch.setattr("plumbline.features.schema.feature_specs", lambda _: [Spec])
    with pytest.raises(SettingsError, match=r"board_sizes\. Known: board_size"):
        open_log(with_log(settings, mask={"features.board_sizes": "drop"}))
    open_log(with_log(settings, mask={"features.board_size": "drop"})).close()


NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


def _hours_of_records(settings: Settings) -> list[datetime]:
    """Records at 11:59, 12:00 and 13:00 of thirty days ago, and one of today; with counts of left-out ones beside."""
    then = NOW - timedelta(days=30)
    times = [then.replace(hour=11, minute=59), then.replace(minute=0), then.replace(hour=13, minute=0), NOW]
    log = start(settings, sample_rate=0.5)
    log.append([record(f"r{number}", time=time) for number, time in enumerate(times * 8)])
    log.close()
    ship(settings)
    return times


def test_what_is_older_than_the_retention_goes_and_nothing_younger(settings: Settings) -> None:
    times = _hours_of_records(settings)
    kept = with_log(settings, retention_days=30)
    store = open_store(settings)
    store.put("predictions/notes.txt", b"not ours")
    before = list(store.list("predictions"))
    dry = prune(kept, dry_run=True, now=NOW)
    assert (dry.objects, dry.dry_run) == (1, True)
    assert list(store.list("predictions")) == before
    assert AuditLog(settings).read() == []

    pruned = prune(kept, now=NOW)
    assert (pruned.objects, pruned.first) == (1, times[0].replace(minute=0).isoformat())
    # 12 o'clock is not over for thirty days at 12:30: its hour stays whole.
    assert set(read(settings)["time"]) == set(times[1:])
    assert store.exists("predictions/notes.txt")
    assert list(store.list(LEFT_OUT_PREFIX))
    (entry,) = AuditLog(settings).read()
    assert (entry.what, entry.subject, entry.numbers["objects"]) == ("prune", "prediction log", 1)
    assert prune(kept, now=NOW).objects == 0
    assert len(AuditLog(settings).read()) == 1

    prune(kept, now=datetime.now(UTC) + timedelta(days=31))
    assert list(store.list(OBJECT_PREFIX)) == ["predictions/notes.txt"]
    assert not list(store.list(LEFT_OUT_PREFIX))


def test_without_a_retention_nothing_is_deleted(settings: Settings) -> None:
    with pytest.raises(UserError, match="retention_days is not set"):
        prune(settings)
