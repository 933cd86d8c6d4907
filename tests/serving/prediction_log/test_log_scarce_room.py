"""What happens to the prediction log when its disk is scarce, full, or broken."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from log_records import record, start

from plumbline.settings import Settings
from serving.errors import UnavailableError
from serving.prediction_log import PredictionLog, read, read_left_out, ship
from serving.prediction_log.segments import spool_dir
from serving.prediction_log.space import Space

LINE_BYTES = len(record("r0000").line())


@pytest.mark.parametrize(
    ("used", "room", "share"),
    [
        (0, 100, 1.0),
        (50, 50, 1.0),
        (51, 49, 0.5),
        (74, 26, 0.5),
        (76, 24, 0.25),
        (88, 12, 0.125),
        (99_999, 1, 1 / 1024),
        (100, 0, 0.0),
        (100, -5, 0.0),
        (0, 0, 0.0),
    ],
)
def test_the_share_halves_each_time_the_room_does(used: int, room: int, share: float) -> None:
    assert Space(used, room).share == share


def _fill(log: PredictionLog, count: int, prefix: str) -> None:
    """Appends one by one, and lets the log look at its room often."""
    for number in range(count):
        log.append([record(f"{prefix}{number:04}")])
        if number % 20 == 19:
            time.sleep(0.02)


def test_while_the_store_is_away_fewer_are_kept_none_is_lost_uncounted_and_then_all_again(settings: Settings) -> None:
    room = 100 * 1024
    log = start(settings, max_spool_bytes=room, min_free_bytes=0, sync_seconds=0.005, segment_bytes=16 * 1024)
    written = 4 * room // LINE_BYTES
    _fill(log, written, "r")
    assert sum(path.stat().st_size for path in spool_dir(settings).glob("*.jsonl")) <= room
    assert log.left_out["spool_full"] > 0
    assert log.records + log.left_out["spool_full"] == written
    kept = read(settings)
    assert len(kept) == log.records
    rates = kept.sort_values("time")["sample_rate"]
    assert rates.iloc[0] == 1.0
    assert rates.is_monotonic_decreasing
    assert rates.iloc[-1] < 0.25
    # Each record stands for those that were not kept beside it: together for all, as well as a sample can.
    assert (1 / rates).sum() == pytest.approx(written, rel=0.5)

    assert ship(settings).segments > 0  # the store is back
    deadline = time.monotonic() + 10
    while log.share < 1.0:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    log.append([record("after")])
    log.close()
    ship(settings)
    after = read(settings)
    assert after["sample_rate"].iloc[-1] == 1.0
    assert after["request_id"].iloc[-1] == "after"
    assert int(read_left_out(settings)["count"].sum()) == written + 1 - len(after)


def test_where_every_answer_needs_its_record_a_full_spool_refuses(settings: Settings) -> None:
    log = start(settings, max_spool_bytes=64 * 1024, when_full="refuse", min_free_bytes=0, sync_seconds=0.005)
    with pytest.raises(UnavailableError, match="room"):
        _fill(log, 1000, "r")
    assert log.share == 1.0
    written = log.records
    assert (written + 1) * LINE_BYTES > 60 * 1024
    log.close()
    assert len(read(settings)) == written
    assert read_left_out(settings).empty


def test_bytes_that_others_need_are_left_free(settings: Settings) -> None:
    free = shutil.disk_usage(settings.home.parent).free
    log = start(settings, min_free_bytes=2 * free)
    log.append([record("a")])
    assert (log.share, log.records, log.left_out["spool_full"]) == (0.0, 0, 1)
    log.close()


_UNTIL_IT_FAILS = """
import json, resource, sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from log_records import record, start
from plumbline.settings import load_settings
from serving.errors import UnavailableError
log = start(load_settings(home=Path(sys.argv[1])), when_full=sys.argv[3])
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))
unanswered = []
for number in range(30):
    try:
        log.append([record(f"{number}-{row}") for row in range(3)])
    except UnavailableError:
        unanswered.append(number)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.append([record("last")])
print(json.dumps({"unanswered": unanswered, "left_out": log.left_out, "records": log.records}))
if sys.argv[4] == "kill":
    import os
    os.kill(os.getpid(), 9)
log.close()
"""


def _run_until_it_fails(settings: Settings, policy: str, end: str = "close") -> tuple[dict[str, Any], str]:
    folder = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", _UNTIL_IT_FAILS, str(settings.home), folder, policy, end],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, -9), done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result, done.stderr


def test_a_batch_that_the_disk_does_not_take_is_refused_whole_and_spoils_no_later_one(settings: Settings) -> None:
    result, _ = _run_until_it_fails(settings, "refuse")
    assert result["unanswered"]
    answered = {f"{number}-{row}" for number in range(30) for row in range(3) if number not in result["unanswered"]}
    assert set(read(settings)["request_id"]) == answered | {"last"}
    assert result["left_out"]["write_failed"] == 0


@pytest.mark.parametrize("end", ["close", "kill"])
def test_answers_without_a_record_are_counted_also_when_the_counter_is_killed(settings: Settings, end: str) -> None:
    result, said = _run_until_it_fails(settings, "sample", end)
    assert result["unanswered"] == []
    missing = 91 - len(read(settings))
    assert missing > 0
    assert result["left_out"] == {"policy": 0, "spool_full": 0, "write_failed": missing}
    assert f"{missing} answers went without theirs" in said
    assert said.count("Answers go on without their records") == 1
    ship(settings)
    (row,) = read_left_out(settings).to_dict("records")
    assert (row["reason"], row["count"], row["least_share"]) == ("write_failed", missing, 0.0)
    assert not list(spool_dir(settings).glob("*.left-out"))


def test_a_folder_that_cannot_be_written_to_is_an_error_at_the_start(settings: Settings) -> None:
    settings.home.mkdir(parents=True)
    (settings.home / "predictions").write_text("not a folder")
    with pytest.raises(OSError, match="predictions"):
        start(settings)
