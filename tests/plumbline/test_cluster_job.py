"""A command in a Job: its answer, and the signs of life that it leaves until then."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest
from controller_process import until

from plumbline.cluster import job
from plumbline.cluster.job import SignOfLife, read_answer, read_sign, run_job
from plumbline.errors import DependencyError
from plumbline.settings import Settings
from plumbline.storage import open_store

KEY = "controller/jobs/line-1.json"
BUSY = "while True: sum(range(10000))"


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "SIGN_SECONDS", 0.05)


def test_a_command_leaves_its_answer_and_no_sign(settings: Settings) -> None:
    seen: list[SignOfLife] = []

    def look() -> None:
        while not seen:
            seen.extend(filter(None, [read_sign(settings, KEY)]))

    threading.Thread(target=look, daemon=True).start()
    done = run_job(settings, KEY, ["data", "snapshots"])
    assert (done.exit_code, done.answer) == (0, {"rows": []})
    assert read_answer(settings, KEY) == done
    assert read_sign(settings, KEY) is None
    assert seen


@pytest.mark.usefixtures("often")
def test_signs_tell_of_work_and_of_the_last_words(settings: Settings) -> None:
    with subprocess.Popen([sys.executable, "-c", BUSY]) as process:
        with job._signs(open_store(settings), job._sign_key(KEY)) as lines:
            until(lambda: read_sign(settings, KEY) is not None)
            for line in ("epoch 1\n", "epoch 2\n", "epoch 2\n"):
                lines.add(line)
            until(lambda: (found := read_sign(settings, KEY)) and found.lines == 2 and found.processor_seconds)
            assert read_sign(settings, KEY).said == "epoch 2"  # type: ignore[union-attr]
        process.kill()


@pytest.mark.usefixtures("often")
def test_a_store_that_is_away_does_not_stop_the_command(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_store(settings)
    put = store.put

    def away(key: str, content: bytes) -> str:
        if key.endswith(".alive.json"):
            raise DependencyError("The store is away.")
        return put(key, content)

    monkeypatch.setattr(type(store), "put", lambda _, key, content: away(key, content))
    assert run_job(settings, KEY, ["data", "snapshots"]).exit_code == 0
    assert "No sign of life could be left" in caplog.text


def test_a_sign_of_another_version_is_none(settings: Settings) -> None:
    open_store(settings).put(job._sign_key(KEY), b'{"beats": 3}')
    assert read_sign(settings, KEY) is None
