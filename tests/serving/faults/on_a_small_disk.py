"""Run by test_full_disk: a replica whose spool lies on a disk of its own, which somebody else fills meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from fault_clients import Clients
from fault_log import shipped, spooled
from fault_replica import RunningReplica, on_free_port
from serving_standins import Features, Models

from plumbline.settings import load_settings
from serving.prediction_log import read_left_out
from serving.prediction_log.segments import spool_dir

_AGES = 3600.0
"""The log does not look at its room meanwhile: what it sees is what the disk says to a write."""


_UNDER_WAY = 0.3
"""Requests of the seconds around a change may have come to what was before it or to what was after it."""


def main(home: Path, policy: str) -> None:
    settings = on_free_port(
        load_settings(home=home),
        log={"when_full": policy, "sync_seconds": _AGES, "ship_seconds": _AGES, "min_free_bytes": 0},
    )
    spool = spool_dir(settings)
    spool.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(spool)], check=True)
    models = Models()
    replica = RunningReplica(settings, models=lambda *_: models, features=Features())
    with replica, Clients(replica.url, "disk") as clients:
        clients.wait_for(lambda seen: seen.status == 200, count=20)
        other = spool / "somebody-elses"
        time.sleep(_UNDER_WAY)
        filling = time.monotonic()
        _fill(other)
        filled = time.monotonic()
        clients.wait_for(lambda _: True, count=40, since=filled + _UNDER_WAY)
        metrics = replica.metrics()
        time.sleep(_UNDER_WAY)
        other.unlink()
        emptied = time.monotonic()
        clients.wait_for(lambda seen: seen.status == 200, count=20, since=emptied + _UNDER_WAY)
    left_out = read_left_out(settings)
    result = {
        "before": clients.outcomes(until=filling - _UNDER_WAY),
        "full": clients.outcomes(since=filled + _UNDER_WAY, until=emptied - _UNDER_WAY),
        "after": clients.outcomes(since=emptied + _UNDER_WAY),
        "reasons": sorted({seen.error for seen in clients.seen if seen.error}),
        "answered": clients.answered,
        "log": shipped(settings) + spooled(settings),
        "left_out_metric": metrics["plumbline_log_left_out_total.write_failed"],
        "left_out": dict(zip(left_out["reason"], left_out["count"].tolist(), strict=True)),
    }
    sys.stdout.write(json.dumps(result))


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        for size in (64 * 1024, 4096):
            try:
                while file.write(b"x" * size) == size:
                    pass
            except OSError:
                continue


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
