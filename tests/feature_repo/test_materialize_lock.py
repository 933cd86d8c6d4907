"""In one home one process materialises at a time, and one that is killed holds nobody up."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from plumbline.features.materialize_lock import only_materialization
from plumbline.settings import Settings

_HOLD = """
import sys, time
from pathlib import Path
from plumbline.features.materialize_lock import only_materialization
from plumbline.settings import load_settings
with only_materialization(load_settings(home=Path(sys.argv[1]))):
    print("held", flush=True)
    time.sleep(600)
"""


def test_the_next_waits_for_the_end_however_it_comes(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    holder = subprocess.Popen([sys.executable, "-c", _HOLD, str(settings.home)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    got = threading.Event()

    def wait() -> None:
        with only_materialization(settings):
            got.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    try:
        while "waiting for its end" not in caplog.text:
            assert not got.wait(0.05)
    finally:
        holder.kill()
        holder.wait()
    waiting.join()
    assert got.is_set()
