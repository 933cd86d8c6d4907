"""Runs the line from the first posting to the report."""

from __future__ import annotations

import json
import signal
import uuid
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from plumbline.demo import stages
from plumbline.demo.commands import Commands
from plumbline.demo.home import fresh_home, only_run
from plumbline.demo.machine import describe_machine
from plumbline.demo.options import DemoOptions
from plumbline.demo.progress import Progress
from plumbline.demo.report import write_report
from plumbline.errors import PlumblineError
from plumbline.process.memory import PeakMemory
from plumbline.process.ports import require_free_port
from plumbline.process.watchdog import Watchdog
from plumbline.settings import Settings


class _StopRequestedError(PlumblineError):
    """The run was asked to stop."""

    exit_code = 130


def run_demo(options: DemoOptions, settings: Settings) -> dict[str, Any]:
    """Runs every stage, stops what it started, and writes `report.json` and `report.html`.

    Returns:
        The content of `report.json`.

    Raises:
        PlumblineError: A stage failed; the error is that of the stage's command.
    """
    require_free_port(settings.serving.host, settings.serving.port, "PLUMBLINE_SERVING__PORT")
    require_free_port(settings.controller.host, settings.controller.port, "PLUMBLINE_CONTROLLER__PORT")
    run_id = uuid.uuid4().hex
    out = options.out.absolute()
    logs = out / "logs"
    progress = Progress()
    with only_run(settings.home):
        fresh_home(settings.home)
        _fresh_logs(logs)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _stop)
        with Watchdog(run_id), PeakMemory(run_id) as memory:
            story = stages.Story(
                options=options,
                settings=settings,
                progress=progress,
                commands=Commands(logs=logs, run_id=run_id, settings_variables={"PLUMBLINE_HOME": str(settings.home)}),
            )
            try:
                figures = stages.play(story)
            except KeyboardInterrupt as error:
                raise _StopRequestedError("Stopped on request; the next run starts afresh.") from error
            with progress.step("Report") as step:
                figures |= {
                    "seconds_total": round(progress.elapsed, 1),
                    "peak_rss_mb": round(memory.peak_mb, 1),
                    "seconds": progress.seconds,
                    "machine": describe_machine(),
                    "finished_at": datetime.now(UTC).isoformat(),
                    "options": json.loads(options.model_dump_json()),
                }
                page = write_report(figures, out=out, home=settings.home)
                step.came_out(str(page))
    return figures


def _stop(number: int, _: FrameType | None) -> None:
    raise _StopRequestedError(f"Stopped by {signal.Signals(number).name}; the next run starts afresh.")


def _fresh_logs(logs: Path) -> None:
    logs.mkdir(parents=True, exist_ok=True)
    for log in logs.glob("*.log"):
        log.unlink()
