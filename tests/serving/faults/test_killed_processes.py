"""`plumbline serve run` under load: its replica is killed, and Ray brings another one; Ray is killed, and it ends."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest
from conftest import Installation
from fault_clients import Clients
from fault_log import require_each_once, shipped, spooled
from served_process import ServedProcess

from serving.prediction_log.segments import spool_dir

pytestmark = pytest.mark.slow

_BROKEN = {"BrokenPipeError", "ConnectionRefusedError", "ConnectionResetError", "RemoteDisconnected"}


def test_killed_replicas_and_a_killed_ray_lose_nothing_that_was_answered(installation: Installation) -> None:
    settings = installation.settings
    before = shipped(settings)
    served = ServedProcess(
        settings.home,
        PLUMBLINE_SERVING__LOG__SEGMENT_SECONDS="2",
        PLUMBLINE_SERVING__LOG__SHIP_SECONDS="0.5",
    )
    with served:
        with Clients(served.url, "killed", posting=installation.posting) as clients:
            clients.wait_for(lambda seen: seen.status == 200, count=50)
            replica = served.replica()
            assert replica is not None
            replica.kill()
            killed = time.monotonic()
            clients.wait_for(lambda seen: seen.status == 200, count=50, since=killed + 1, within=200)
            another = served.replica()
            assert another is not None
            assert another.pid != replica.pid

            served.raylet().kill()
            code = served.process.wait(60)
        assert served.process.stderr is not None
        said = served.process.stderr.read()
    assert code == 1
    assert "Ray's raylet ended" in said
    assert "Traceback" not in said
    # Clients saw broken and refused connections, and no wrong answer.
    assert clients.outcomes().keys() == {"200", "no answer"}
    assert {seen.error.partition("(")[0] for seen in clients.seen if not seen.status} <= _BROKEN

    shipping = subprocess.run(
        [sys.executable, "-m", "plumbline", "serve", "log", "ship", "--json"],
        env=served.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(shipping.stdout)["segments_left"] == 0
    assert not spooled(settings)
    assert not list(spool_dir(settings).glob("*.opening"))
    log = shipped(settings) - before
    require_each_once(log, clients.answered)
    # A record without its answer is one that was under way when its process was killed: one per client and kill.
    assert len(set(log) - set(clients.answered)) <= 8
