"""Runs the line from the first posting to the report, and writes the report of what there is however it ends."""

from __future__ import annotations

import json
import shlex
import signal
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from plumbline.demo.checkpoint import Checkpoint, load_checkpoint
from plumbline.demo.commands import Commands
from plumbline.demo.home import fresh_home, only_run, require_unused
from plumbline.demo.machine import describe_machine
from plumbline.demo.options import DemoOptions
from plumbline.demo.progress import Progress
from plumbline.demo.report import write_report
from plumbline.demo.stages import STAGES, DemoRun
from plumbline.errors import PlumblineError
from plumbline.process.memory import PeakMemory
from plumbline.process.ports import require_free_port
from plumbline.process.watchdog import Watchdog
from plumbline.settings import Settings


class _StopRequestedError(PlumblineError):
    """The run was asked to stop."""

    exit_code = 130


def run_demo(options: DemoOptions, settings: Settings, *, resume: bool = False) -> dict[str, Any]:
    """Runs every stage, stops what it started, and writes `report.json` and `report.html`.

    Args:
        options: What to run.
        settings: Where its state lies, and its ports.
        resume: Go on with the run that this home holds.

    Returns:
        The content of `report.json`.

    Raises:
        PlumblineError: A stage failed; the error is of the kind of the stage's command, and says where the report is
            and how to go on.
    """
    options.require_usable()
    require_free_port(settings.serving.host, settings.serving.port, "PLUMBLINE_SERVING__PORT")
    require_free_port(settings.controller.host, settings.controller.port, "PLUMBLINE_CONTROLLER__PORT")
    with only_run(settings.home):
        if resume:
            checkpoint = load_checkpoint(settings.home, options)
        else:
            require_unused(settings.home)
            fresh_home(settings.home)
            checkpoint = Checkpoint(options)
            checkpoint.save(settings.home)
        with _stoppable():
            return _run(checkpoint, settings)


def _run(checkpoint: Checkpoint, settings: Settings) -> dict[str, Any]:
    options = checkpoint.options
    out = options.out.absolute()
    run_id = uuid.uuid4().hex
    progress = Progress(checkpoint.seconds, checkpoint.elapsed)
    with Watchdog(run_id), PeakMemory(run_id) as memory:
        run = DemoRun(
            options=options,
            settings=settings,
            progress=progress,
            commands=Commands(
                logs=_logs(out, fresh=not checkpoint.done),
                run_id=run_id,
                settings_variables={"PLUMBLINE_HOME": str(settings.home)},
            ),
            figures=checkpoint.figures,
            resumed=bool(checkpoint.done),
        )
        failure, stage = _play(run, checkpoint)
        checkpoint.peak_mb = max(checkpoint.peak_mb, memory.peak_mb)
        checkpoint.seconds, checkpoint.elapsed = progress.seconds, progress.elapsed
    checkpoint.save(settings.home)
    going_on = None if failure is None else _resume_command(options, settings)
    figures = _figures(checkpoint, failure, stage, going_on)
    try:
        with progress.step("Report") as step:
            page = write_report(figures, out=out, home=settings.home)
            step.result(str(page))
    except Exception as error:
        if failure is None:
            raise
        progress.print(f"  The page could not be written: {type(error).__name__}: {error}")
        page = out / "report.json"
    if failure is not None:
        raise _with_advice(failure, stage, page, str(going_on)) from failure
    return figures


def _play(run: DemoRun, checkpoint: Checkpoint) -> tuple[Exception | None, str]:
    """Runs the stages that are left; the first error ends it, whatever it is: what there is must be kept."""
    for number, (name, stage) in enumerate(STAGES, start=1):
        if name in checkpoint.done:
            run.progress.print(f"{number}/{len(STAGES)} {name}: done before")
            continue
        run.progress.heading(f"{number}/{len(STAGES)} {name}")
        before = run.progress.elapsed
        try:
            stage(run)
        except KeyboardInterrupt:
            return _StopRequestedError("Stopped on request."), name
        except Exception as error:  # noqa: BLE001 - raised again once the report is written
            return error, name
        checkpoint.done[name] = round(run.progress.elapsed - before, 1)
        checkpoint.seconds, checkpoint.elapsed = run.progress.seconds, run.progress.elapsed
        checkpoint.save(run.settings.home)
    return None, ""


def _figures(checkpoint: Checkpoint, failure: Exception | None, stage: str, going_on: str | None) -> dict[str, Any]:
    outcome = "done" if failure is None else "stopped" if isinstance(failure, _StopRequestedError) else "failed"
    stages = [
        {
            "name": name,
            "state": "done" if name in checkpoint.done else outcome if name == stage else "not_run",
            "seconds": checkpoint.done.get(name),
            "error": str(failure) if name == stage else None,
        }
        for name, _ in STAGES
    ]
    return {
        **checkpoint.figures,
        "outcome": outcome,
        "stages": stages,
        "resume": going_on,
        "seconds_total": round(checkpoint.elapsed, 1),
        "peak_rss_mb": round(checkpoint.peak_mb, 1),
        "seconds": checkpoint.seconds,
        "machine": describe_machine(),
        "finished_at": datetime.now(UTC).isoformat(),
        "options": json.loads(checkpoint.options.model_dump_json()),
    }


def _resume_command(options: DemoOptions, settings: Settings) -> str:
    words = ["plumbline", "demo", "--resume"]
    if options.out != DemoOptions().out:
        words += ["--out", str(options.out)]
    usual = Settings.model_fields["home"].default.absolute()
    home = "" if settings.home == usual else f"PLUMBLINE_HOME={shlex.quote(str(settings.home))} "
    return home + shlex.join(words)


def _with_advice(failure: Exception, stage: str, page: Path, going_on: str) -> PlumblineError:
    kind = type(failure) if isinstance(failure, PlumblineError) else PlumblineError
    said = str(failure) if isinstance(failure, PlumblineError) else f"{type(failure).__name__}: {failure}"
    return kind(f"{stage}: {said} What there is stands in {page}; `{going_on}` goes on from there.")


@contextmanager
def _stoppable() -> Iterator[None]:
    """A first signal ends the run in order, with its report; a further one ends it at once."""

    def stop(number: int, _: FrameType | None) -> None:
        for each in before:
            signal.signal(each, signal.SIG_DFL)
        raise _StopRequestedError(f"Stopped by {signal.Signals(number).name}.")

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _logs(out: Path, *, fresh: bool) -> Path:
    logs = out / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    if fresh:
        for log in logs.glob("*.log"):
            log.unlink()
    return logs
