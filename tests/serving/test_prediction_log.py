"""The prediction log: nothing answered is lost, nothing is counted twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from plumbline.settings import Settings
from plumbline.storage import open_store
from serving.errors import UnavailableError
from serving.prediction_log import PredictionRecord, SpoolWriter, read, ship
from serving.prediction_log.segments import spool_dir
from serving.prediction_log.shipping import OBJECT_PREFIX, object_key
from serving.prediction_log.spool import spool_size


def record(request_id: str, **changes: object) -> PredictionRecord:
    values: dict[str, object] = {
        "request_id": request_id,
        "time": datetime.now(UTC).isoformat(timespec="microseconds"),
        "posting_id": "p",
        "event_timestamp": "2026-01-05T08:00:00+00:00",
        "company": None,
        "board": "jobs.example",
        "features": {"board_size": 3.5, "seniority": None},
        "features_expired": [],
        "features_missing": ["company_stats"],
        "features_later": [],
        "label": "2512",
        "probability": 0.75,
        "model_name": "posting-classifier",
        "model_version": "4",
        "degraded": False,
        "degraded_reasons": [],
        "queue_ms": 0.5,
        "features_ms": 1.0,
        "encode_ms": 1.5,
        "model_ms": 2.0,
        "total_ms": 5.0,
    }
    return PredictionRecord(**{**values, **changes})  # type: ignore[arg-type]


def writer(settings: Settings, **changes: float) -> SpoolWriter:
    limits: dict[str, float] = {"segment_bytes": 1 << 20, "segment_seconds": 3600.0, "sync_seconds": 0.05}
    return SpoolWriter(spool_dir(settings), **{**limits, **changes})  # type: ignore[arg-type]


def test_what_is_written_is_read_from_the_spool_and_from_the_store(settings: Settings) -> None:
    log = writer(settings)
    log.append([record("a").line(), record("b", degraded=True, degraded_reasons=["features_late"]).line()])
    spooled = read(settings)
    log.close()
    assert ship(settings).rows == 2
    shipped = read(settings)
    pd.testing.assert_frame_equal(
        spooled.drop(columns=["features_expired", "features_missing", "features_later", "degraded_reasons"]),
        shipped.drop(columns=["features_expired", "features_missing", "features_later", "degraded_reasons"]),
    )
    assert shipped["features"][0] == {"board_size": 3.5, "seniority": None}
    assert list(shipped["degraded_reasons"][1]) == ["features_late"]
    assert str(shipped["time"].dtype) == "datetime64[us, UTC]"
    assert spool_size(spool_dir(settings)) == (0, 0)


def test_an_empty_log_has_its_columns(settings: Settings) -> None:
    frame = read(settings)
    assert len(frame) == 0
    assert {"request_id", "label", "model_version"} <= set(frame.columns)
    assert ship(settings).segments == 0


def test_a_segment_that_is_written_to_is_read_and_not_shipped(settings: Settings) -> None:
    log = writer(settings)
    log.append([record("a").line()])
    assert ship(settings).segments == 0
    assert list(read(settings)["request_id"]) == ["a"]
    log.close()


@pytest.mark.parametrize("limit", [{"segment_bytes": 4096}, {"segment_seconds": 0.05}])
def test_segments_rotate_by_size_and_by_age(settings: Settings, limit: dict[str, float]) -> None:
    log = writer(settings, **limit)
    for number in range(60):
        log.append([record(f"r{number}").line()])
        time.sleep(0.003)
    assert ship(settings).segments >= 1
    log.close()
    ship(settings)
    assert sorted(read(settings)["request_id"]) == sorted(f"r{number}" for number in range(60))


def test_an_idle_spool_makes_no_segments(settings: Settings) -> None:
    log = writer(settings, segment_seconds=0.01, sync_seconds=0.01)
    time.sleep(0.2)
    assert spool_size(spool_dir(settings)) == (1, 0)
    log.close()


def test_each_request_counts_once(settings: Settings) -> None:
    log = writer(settings)
    log.append([record("a", label="first").line(), record("b").line()])
    log.close()
    copy = {path: path.read_bytes() for path in spool_dir(settings).glob("*.jsonl")}
    ship(settings)
    for path, content in copy.items():  # as if the shipper had been killed between upload and removal
        path.write_bytes(content)
    retried = writer(settings)
    retried.append([record("a", label="second").line()])
    assert list(read(settings)["request_id"]) == ["a", "b"]
    retried.close()
    ship(settings)
    log_now = read(settings)
    assert list(log_now["label"]) == ["first", "2512"]
    assert len(list(open_store(settings).list(OBJECT_PREFIX))) == 2


def test_objects_are_ordered_by_hour() -> None:
    assert object_key("20260105T081500-ab.jsonl") == "predictions/2026/01/05/08/20260105T081500-ab.parquet"


def test_a_line_that_was_cut_short_is_left_out(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    log = writer(settings)
    log.append([record("a").line()])
    log.close()
    (path,) = spool_dir(settings).glob("*.jsonl")
    with path.open("ab") as file:
        file.write(record("b").line()[:40])
    assert list(read(settings)["request_id"]) == ["a"]
    assert "cut short" in caplog.text
    assert ship(settings).rows == 1


LINE = record("NUMBER").line().decode().strip()
"""What the processes below write, with a number in place of NUMBER."""

_WRITE_UNTIL_KILLED = """
import sys
from pathlib import Path
from serving.prediction_log import SpoolWriter
line = sys.argv[2].encode() + b"\\n"
log = SpoolWriter(Path(sys.argv[1]), segment_bytes=200_000, segment_seconds=3600.0, sync_seconds=0.01)
number = 0
while True:
    log.append([line.replace(b"NUMBER", b"%d" % number)])
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
    assert set(answered) <= set(read(settings)["request_id"])


_FILL_THE_DISK = """
import resource, sys
from pathlib import Path
from serving.errors import UnavailableError
from serving.prediction_log import SpoolWriter
log = SpoolWriter(Path(sys.argv[1]), segment_bytes=10**6, segment_seconds=3600.0, sync_seconds=0.01)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))
line = sys.argv[2].encode() + b"\\n"
refused = []
for number in range(30):
    try:
        log.append([line.replace(b"NUMBER", b"%d" % number)])
    except UnavailableError:
        refused.append(number)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.append([line.replace(b"NUMBER", b"999")])
print(*refused)
"""


def test_a_write_that_the_disk_does_not_take_is_an_error_and_spoils_no_later_line(settings: Settings) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FILL_THE_DISK, str(spool_dir(settings)), LINE],
        capture_output=True,
        text=True,
        check=True,
    )
    refused = [int(number) for number in done.stdout.split()]
    assert refused
    assert {int(found) for found in read(settings)["request_id"]} == set(range(30)) - set(refused) | {999}


def test_a_closed_log_takes_nothing(settings: Settings) -> None:
    log = writer(settings)
    log.close()
    log.close()
    with pytest.raises(UnavailableError):
        log.append([record("a").line()])


def test_two_shippers_do_not_disturb_each_other(settings: Settings) -> None:
    for number in range(5):
        log = writer(settings)
        log.append([record(f"r{number}").line()])
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
