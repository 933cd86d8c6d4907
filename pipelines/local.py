"""Runs a pipeline on this machine with KFP's own local runner: every step is a process of its own."""

from __future__ import annotations

import os
import shutil
import signal
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

import psutil
from kfp import local
from kfp.dsl.base_component import BaseComponent

from pipelines.run_log import RunLog
from plumbline import paths
from plumbline.errors import PlumblineError
from plumbline.registry.steps.runner import only_run
from plumbline.settings import Settings

LOG_FILE = "run.log"


class _StoppedError(PlumblineError):
    """The run was asked to stop."""

    exit_code = 130


@dataclass(frozen=True)
class LocalRun:
    """A pipeline run that has ended well."""

    outputs: dict[str, Any]
    """The pipeline's output parameters."""

    seconds: dict[str, float]
    """Duration of each step."""

    folder: Path
    """Where the log and the files between the steps lie."""


def run_locally(
    pipeline: BaseComponent,
    arguments: Mapping[str, Any],
    settings: Settings,
    *,
    on_start: Callable[[str], None] = lambda _: None,
    on_end: Callable[[str, float], None] = lambda _, __: None,
) -> LocalRun:
    """Runs a pipeline to its end.

    Args:
        pipeline: Pipeline without control flow.
        arguments: The pipeline's parameters.
        settings: Where to run; steps load their own settings from the environment.
        on_start: Called with the name of each step that starts.
        on_end: Called with the name of each step that ends well, and its seconds.

    Raises:
        PlumblineError: A step failed; the error is of the step's own kind, and names the step.
        UserError: Another pipeline runs under this `home`.
    """
    root = paths.pipelines_dir(settings)
    with only_run(settings):
        folder = _fresh_folder(root, str(pipeline.name), settings.pipelines.keep_runs)
        with (folder / LOG_FILE).open("w", encoding="utf-8") as file, _temporary_files(folder), _stoppable():
            log = RunLog(file, on_start=on_start, on_end=on_end)
            local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=str(folder), raise_on_error=True)
            try:
                with redirect_stdout(log), warnings.catch_warnings():
                    # KFP warns of images without `python` in their name; the local runner uses none.
                    warnings.simplefilter("ignore", RuntimeWarning)
                    task = pipeline(**arguments)
            except RuntimeError as error:
                raise log.failure(folder / LOG_FILE) from error
        return LocalRun(dict(task.outputs), log.seconds, folder)


def _fresh_folder(root: Path, pipeline: str, keep: int) -> Path:
    """A new folder for this run; the oldest ones go, so that `keep` remain with it."""
    runs = sorted(path for path in root.iterdir() if path.is_dir())
    for old in runs[: max(0, len(runs) - keep + 1)]:
        shutil.rmtree(old)
    folder = root / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{pipeline}"
    (folder / "tmp").mkdir(parents=True)
    return folder


@contextmanager
def _temporary_files(folder: Path) -> Iterator[None]:
    """KFP's steps leave the folder that their source was unpacked to behind; let it lie with the run."""
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = str(folder / "tmp")
    try:
        yield
    finally:
        if before is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before


@contextmanager
def _stoppable() -> Iterator[None]:
    """Ends the running step, too, when this process is asked to end: KFP would wait for it."""

    def stop(number: int, _: FrameType | None) -> None:
        for child in psutil.Process().children(recursive=True):
            try:
                child.kill()
            except psutil.NoSuchProcess:
                continue  # ended by itself
        raise _StoppedError(f"The pipeline was stopped by {signal.Signals(number).name}; nothing was registered after.")

    handlers = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
