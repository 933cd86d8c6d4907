"""The whole line on a small stream: stopped and killed at three points, gone on with each time, to its end."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

SMALL = ("--rows", "3000", "--weeks", "12", "--load-seconds", "3", "--load-rate", "40", "--parity-pairs", "300")
RESUME = ("--resume",)
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

    def start(self, log: Path, *arguments: str) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "PLUMBLINE_HOME": str(self.home),
            "PLUMBLINE_SERVING__PORT": str(self.ports[0]),
            "PLUMBLINE_CONTROLLER__PORT": str(self.ports[1]),
        }
        with log.open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "plumbline", "demo", *arguments, "--out", str(self.out)],
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


def _wait_until_nothing_is_left(line: Line, where: str) -> None:
    deadline = time.monotonic() + 60
    while line.left_running() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert line.left_running() == [], where


def _assert_report_of_what_there_is(line: Line, log: Path) -> None:
    report = json.loads((line.out / "report.json").read_text())
    assert report["outcome"] == "stopped"
    assert [stage["state"] for stage in report["stages"]][:3] == ["done", "stopped", "not_run"]
    assert report["stages"][1]["error"] == "Stopped by SIGTERM."
    assert report["rows"]["admitted"] > 0
    advised = shlex.split(report["resume"])
    assert advised == [f"PLUMBLINE_HOME={line.home}", "plumbline", "demo", *RESUME, "--out", str(line.out)]
    said = log.read_text(errors="replace").splitlines()[-1]
    assert "Features: Stopped by SIGTERM." in said
    assert report["resume"] in said


def _figure(report: dict[str, object], path: str) -> object:
    value: object = report
    for name in path.split("."):
        assert isinstance(value, dict), path
        assert name in value, path
        value = value[name]
    return value


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_stopped_and_killed_at_three_points_and_gone_on_with_to_the_end(tmp_path: Path) -> None:
    line = Line(tmp_path)
    points = (
        ("Apply, build, join, materialise, compare ...", 3.0, signal.SIGTERM, 130),
        ("Training pipeline ...", 8.0, signal.SIGKILL, -signal.SIGKILL),
        ("Start Ray Serve and the controller ...", 6.0, signal.SIGKILL, -signal.SIGKILL),
    )
    for number, (text, seconds_after, how, code) in enumerate(points):
        log = tmp_path / f"ended-{number}.log"
        run = line.start(log, *(SMALL if number == 0 else RESUME))
        _wait_for(log, text, run)
        time.sleep(seconds_after)
        run.send_signal(how)
        assert run.wait(120) == code
        _wait_until_nothing_is_left(line, text)
        if how == signal.SIGTERM:
            _assert_report_of_what_there_is(line, log)

    log = tmp_path / "rest.log"
    run = line.start(log, *RESUME)
    assert run.wait(900) == 0, log.read_text(errors="replace")
    said = log.read_text(errors="replace")
    assert "1/7 Postings: done before" in said
    assert "3/7 Training: done before" in said
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
    assert report["outcome"] == "done"
    assert {stage["state"] for stage in report["stages"]} == {"done"}
    assert report["resume"] is None
    page = (line.out / "report.html").read_text()
    assert page.count("<svg") == 2
    assert len(page.encode()) < 2_000_000
    assert 'src="http' not in page
    assert 'href="http' not in page.replace('href="http://127.0.0.1:', "")
    assert (line.out / "evidently" / "drifted.html").is_file()
