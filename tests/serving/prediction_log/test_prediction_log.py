"""The prediction log: nothing answered is lost, nothing is counted twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pandas as pd
import pytest
from log_records import record, start

from plumbline.errors import UserError
from plumbline.settings import Settings
from plumbline.storage import open_store
from serving.errors import UnavailableError
from serving.prediction_log import read, ship
from serving.prediction_log.hours import keys_between
from serving.prediction_log.segments import spool_dir, spool_size
from serving.prediction_log.shipping import OBJECT_PREFIX, object_key

NINE = datetime(2026, 1, 5, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
LISTS = ["features_expired", "features_missing", "features_later", "degraded_reasons", "masked"]


def ids(settings: Settings, **arguments: object) -> list[str]:
    return list(read(settings, **arguments)["request_id"])  # type: ignore[arg-type]


def test_what_is_written_is_read_from_the_spool_and_from_the_store(settings: Settings) -> None:
    log = start(settings)
    log.append([record("a", client="jobs.example"), record("b", degraded=True, degraded_reasons=["features_late"])])
    spooled = read(settings)
    log.close()
    assert ship(settings).rows == 2
    shipped = read(settings)
    pd.testing.assert_frame_equal(spooled.drop(columns=LISTS), shipped.drop(columns=LISTS))
    assert shipped["features"][0] == {"board_size": 3.5, "seniority": None}
    assert list(shipped["degraded_reasons"][1]) == ["features_late"]
    assert list(shipped["client"]) == ["jobs.example", "anonymous"]
    assert list(shipped["role"]) == ["champion", "champion"]
    assert list(shipped["sample_rate"]) == [1.0, 1.0]
    assert str(shipped["time"].dtype) == "datetime64[us, UTC]"
    assert shipped["event_timestamp"][0] == pd.Timestamp("2026-01-05T08:00:00Z")
    assert not list(spool_dir(settings).glob("*.jsonl"))


def test_the_spool_is_lines_of_json_that_people_can_read(settings: Settings) -> None:
    log = start(settings)
    log.append([record("a")])
    (path,) = spool_dir(settings).glob("*.jsonl")
    line = orjson.loads(path.read_bytes())
    assert (line["request_id"], line["event_timestamp"]) == ("a", "2026-01-05T09:00:00+01:00")
    log.close()


def test_an_empty_log_has_its_columns(settings: Settings) -> None:
    frame = read(settings)
    assert len(frame) == 0
    assert {"request_id", "label", "model_version", "role", "client"} <= set(frame.columns)
    assert ship(settings).segments == 0


def test_a_segment_that_is_written_to_is_read_and_not_shipped(settings: Settings) -> None:
    log = start(settings)
    log.append([record("a")])
    assert ship(settings).segments == 0
    assert ids(settings) == ["a"]
    log.close()


@pytest.mark.parametrize("limit", [{"segment_bytes": 4096}, {"segment_seconds": 0.05}])
def test_segments_rotate_by_size_and_by_age(settings: Settings, limit: dict[str, float]) -> None:
    log = start(settings, **limit)
    for number in range(60):
        log.append([record(f"r{number}")])
        time.sleep(0.003)
    assert ship(settings).segments >= 1
    log.close()
    ship(settings)
    assert sorted(ids(settings)) == sorted(f"r{number}" for number in range(60))


def test_an_idle_spool_makes_no_segments(settings: Settings) -> None:
    log = start(settings, segment_seconds=0.01, sync_seconds=0.01)
    time.sleep(0.2)
    assert spool_size(spool_dir(settings)) == (1, 0)
    log.close()


def test_each_request_counts_once(settings: Settings) -> None:
    log = start(settings)
    log.append([record("a", label="first"), record("b")])
    log.close()
    copy = {path: path.read_bytes() for path in spool_dir(settings).glob("*.jsonl")}
    ship(settings)
    for path, content in copy.items():  # as if the shipper had been killed between upload and removal
        path.write_bytes(content)
    retried = start(settings)
    retried.append([record("a", label="second")])
    assert ids(settings) == ["a", "b"]
    retried.close()
    ship(settings)
    log_now = read(settings)
    assert list(log_now["label"]) == ["first", "2512"]
    assert len(list(open_store(settings).list(OBJECT_PREFIX))) == 2


def test_the_shadows_records_are_there_for_whoever_asks(settings: Settings) -> None:
    log = start(settings)
    log.append([record("a"), record("a", role="shadow"), record("b", role="canary"), record("b", role="shadow")])
    log.close()
    for _ in range(2):  # from the spool, then from the store
        assert ids(settings) == ["a", "b"]
        assert ids(settings, roles=("canary",)) == ["b"]
        assert ids(settings, roles=("shadow",)) == ["a", "b"]
        assert len(read(settings, roles=("champion", "canary", "shadow"))) == 4
        ship(settings)


def test_a_request_that_both_variants_answered_counts_once_for_the_first(settings: Settings) -> None:
    log = start(settings)
    log.append([record("a", role="canary", time=NINE), record("a", role="champion", time=NINE + HOUR)])
    log.close()
    assert list(read(settings)["role"]) == ["canary"]
    assert ids(settings, roles=("champion",)) == []


def test_records_lie_under_their_own_hour_and_a_window_reads_only_its_hours(settings: Settings) -> None:
    log = start(settings)
    log.append([record(f"r{number}", time=NINE + number * HOUR / 2) for number in range(6)])
    log.close()
    assert ship(settings).rows == 6
    store = open_store(settings)
    keys = list(store.list(OBJECT_PREFIX))
    assert [key.rpartition("/")[0] for key in keys] == [f"predictions/2026/01/05/{hour:02}" for hour in (9, 10, 11)]
    assert list(keys_between(store, OBJECT_PREFIX, NINE + HOUR, NINE + 2 * HOUR)) == keys[1:2]
    assert ids(settings, since=NINE + HOUR, until=NINE + 2 * HOUR) == ["r2", "r3"]
    assert ids(settings, since=NINE + 1.5 * HOUR) == ["r3", "r4", "r5"]
    assert ids(settings, until=NINE + HOUR / 2) == ["r0"]
    store.put(keys[0], b"not read")
    assert ids(settings, since=NINE + HOUR, until=NINE + 2 * HOUR) == ["r2", "r3"]


def test_only_the_columns_that_are_asked_for_come(settings: Settings) -> None:
    log = start(settings)
    log.append([record("b", label="1"), record("a", label="2")])
    log.close()
    ship(settings)
    assert read(settings, columns=["label"]).to_dict("list") == {"label": ["1", "2"]}


def test_what_cannot_be_asked_for_is_refused(settings: Settings) -> None:
    with pytest.raises(UserError, match="'boss' is not a role"):
        read(settings, roles=("boss",))  # type: ignore[arg-type]
    with pytest.raises(UserError, match="no column 'title'"):
        read(settings, columns=["title"])
    with pytest.raises(UserError, match="time zone"):
        read(settings, since=datetime(2026, 1, 5))


def test_objects_are_ordered_by_hour() -> None:
    assert object_key("20260105T081500-ab.jsonl", NINE) == "predictions/2026/01/05/09/20260105T081500-ab.parquet"


def test_a_line_that_was_cut_short_is_left_out(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    log = start(settings)
    log.append([record("a")])
    log.close()
    (path,) = spool_dir(settings).glob("*.jsonl")
    with path.open("ab") as file:
        file.write(record("b").line()[:40])
    assert ids(settings) == ["a"]
    assert "cut short" in caplog.text
    assert ship(settings).rows == 1


@pytest.mark.parametrize("spoilt", [b'{"request_id": "x", "time": "noon"}\n', b'{"request_id": "x"}\n', b"[1]\n"])
def test_a_segment_that_nobody_understands_is_set_aside_and_holds_up_none(settings: Settings, spoilt: bytes) -> None:
    log = start(settings)
    log.append([record("a")])
    log.close()
    (spool_dir(settings) / "20260105T081500-ab.jsonl").write_bytes(spoilt)
    shipped = ship(settings)
    assert (shipped.segments, shipped.damaged) == (1, 1)
    assert ids(settings) == ["a"]
    assert (spool_dir(settings) / "20260105T081500-ab.jsonl.damaged").read_bytes() == spoilt
    assert ship(settings).damaged == 0


LINE = record("NUMBER").line().decode().strip()
"""What the processes below write, with a number in place of NUMBER."""

_WRITE_UNTIL_KILLED = """
import sys
from pathlib import Path
from serving.prediction_log.spool import SpoolWriter
line = sys.argv[2].encode() + b"\\n"
spool = SpoolWriter(Path(sys.argv[1]), segment_bytes=200_000, segment_seconds=3600.0)
number = 0
while True:
    if spool.append(line.replace(b"NUMBER", b"%d" % number)):
        spool.maintain()
    sys.stdout.write(f"{number}\\n")  # the answer is sent
    sys.stdout.flush()
    number += 1
"""


def test_kill_loses_nothing_that_was_answered(settings: Settings) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _WRITE_UNTIL_KILLED, str(spool_dir(settings)), LINE], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    answered = [process.stdout.readline().strip() for _ in range(2000)]
    process.send_signal(signal.SIGKILL)
    answered += process.stdout.read().split()
    process.wait()
    assert ship(settings).segments >= 2  # the lock of the killed writer is gone: its last segment ships too
    assert spool_size(spool_dir(settings)) == (0, 0)
    assert set(answered) <= set(ids(settings))


def test_a_closed_log_takes_nothing(settings: Settings) -> None:
    log = start(settings)
    log.close()
    log.close()
    with pytest.raises(UnavailableError):
        log.append([record("a")])


def test_what_was_killed_while_it_opened_a_file_is_swept_once_it_is_old(settings: Settings) -> None:
    folder = spool_dir(settings)
    folder.mkdir(parents=True)
    old, young = folder / "20260105T081500-ab.jsonl.opening", folder / "20260105T081500-cd.jsonl.opening"
    for path in (old, young):
        path.touch()
    os.utime(old, (time.time() - 3600, time.time() - 3600))
    start(settings).close()
    assert not old.exists()
    assert young.exists()


def test_two_shippers_do_not_disturb_each_other(settings: Settings) -> None:
    for number in range(5):
        log = start(settings)
        log.append([record(f"r{number}")])
        log.close()
    code = (
        "import sys; from pathlib import Path; from plumbline.settings import load_settings;"
        "from serving.prediction_log import ship; ship(load_settings(home=Path(sys.argv[1])))"
    )
    shippers = [
        subprocess.Popen([sys.executable, "-c", code, str(settings.home)], env=dict(os.environ)) for _ in range(2)
    ]
    assert [shipper.wait() for shipper in shippers] == [0, 0]
    assert len(read(settings)) == 5
    assert not list(Path(spool_dir(settings)).glob("*.jsonl"))
