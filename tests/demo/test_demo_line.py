"""The whole line on a small stream: killed at three points, then run to its end, twice over the same state."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

SMALL = ("--rows", "3000", "--weeks", "12", "--load-seconds", "3", "--load-rate", "40", "--parity-pairs", "300")
NEEDED_FIGURES = (
    "seconds_total",
    "peak_rss_mb",
    "rows.read",
    "rows.admitted",
    "rows.quarantined",
    "parity.checked",
    "parity.matched",
    "model.accuracy",
    "model.macro_f1",
    "model.n_eval",
    "load.rate",
    "load.p50_ms",
    "load.p99_ms",
    "load.errors",
    "monitor.clean_window_alerts",
    "monitor.drifted_window_alerts",
    "loop.retrained",
    "loop.gate_verdict",
    "loop.served_version_after",
)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Line:
    """Starts demos on one home."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.out = folder / "out"
        self.ports = (_free_port(), _free_port())

    def start(self, log: Path) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "PLUMBLINE_HOME": str(self.home),
            "PLUMBLINE_SERVING__PORT": str(self.ports[0]),
            "PLUMBLINE_CONTROLLER__PORT": str(self.ports[1]),
        }
        with log.open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "plumbline", "demo", *SMALL, "--out", str(self.out)],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
            )

    def left_running(self) -> list[str]:
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("PLUMBLINE_HOME") == str(self.home):
                    found.append(" ".join(process.cmdline()))
            except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
                continue
        return found


def _wait_for(log: Path, text: str, run: subprocess.Popen[bytes], seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while text not in log.read_text(errors="replace"):
        assert run.poll() is None, f"ended early:\n{log.read_text(errors='replace')}"
        assert time.monotonic() < deadline, f"never reached {text!r}:\n{log.read_text(errors='replace')}"
        time.sleep(0.2)


def _figure(report: dict[str, object], path: str) -> object:
    value: object = report
    for name in path.split("."):
        assert isinstance(value, dict), path
        assert name in value, path
        value = value[name]
    return value


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_at_three_points_and_then_run_to_the_end(tmp_path: Path) -> None:
    line = Line(tmp_path)
    points = (
        ("Apply, build, join, materialise, compare ...", 3.0, signal.SIGTERM),
        ("Training pipeline ...", 8.0, signal.SIGKILL),
        ("Start Ray Serve and the controller ...", 6.0, signal.SIGKILL),
    )
    for number, (text, seconds_after, how) in enumerate(points):
        log = tmp_path / f"killed-{number}.log"
        run = line.start(log)
        _wait_for(log, text, run)
        time.sleep(seconds_after)
        run.send_signal(how)
        run.wait(60)
        deadline = time.monotonic() + 30
        while line.left_running() and time.monotonic() < deadline:
            time.sleep(0.2)
        assert line.left_running() == [], text

    log = tmp_path / "whole.log"
    run = line.start(log)
    assert run.wait(600) == 0, log.read_text(errors="replace")
    assert line.left_running() == []
    report = json.loads((line.out / "report.json").read_text())
    for path in NEEDED_FIGURES:
        _figure(report, path)
    assert report["parity"]["matched"] == report["parity"]["checked"] > 0
    assert report["rows"]["read"] == report["rows"]["admitted"] + report["rows"]["quarantined"]
    assert report["load"]["errors"] == 0
    assert report["load"]["log"]["missing"] == 0
    assert report["prediction_log"]["count"] == report["load"]["log"]["answered"]
    assert report["monitor"]["drifted_window_alerts"] >= 1
    assert report["loop"]["retrained"] is True
    page = (line.out / "report.html").read_text()
    assert page.count("<svg") == 2
    assert len(page.encode()) < 2_000_000
    assert 'src="http' not in page
    assert 'href="http' not in page.replace('href="http://127.0.0.1:', "")
    assert (line.out / "evidently" / "drifted.html").is_file()
