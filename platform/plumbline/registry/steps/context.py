"""What every step needs before it starts: settings, its MLflow run, and an end when its pipeline has gone."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psutil

from plumbline.errors import SettingsError, UserError
from plumbline.registry.runs import Run, child_run
from plumbline.settings import Settings, load_settings

_SECONDS_BETWEEN_LOOKS = 0.5


@dataclass(frozen=True)
class Step:
    """A running step."""

    settings: Settings
    run: Run


@contextmanager
def open_step(name: str, *, run_id: str, overrides: str) -> Iterator[Step]:
    """Opens a step of the pipeline run `run_id`.

    Args:
        name: Name of the step, and of its MLflow run.
        run_id: MLflow run of the pipeline run.
        overrides: JSON object of settings that differ for this pipeline run.
    """
    end_with_parent()
    settings = step_settings(overrides)
    with child_run(settings, run_id, name) as run:
        yield Step(settings, run)


def step_settings(overrides: str) -> Settings:
    """Settings of the step's environment, with those of this pipeline run over them.

    Raises:
        SettingsError: The overrides are not a JSON object, or name an unknown setting.
    """
    try:
        values: Any = json.loads(overrides)
    except ValueError as error:
        raise SettingsError(f"The pipeline's overrides are not JSON: {overrides!r}.") from error
    if not isinstance(values, dict):
        raise SettingsError(f"The pipeline's overrides must be a JSON object, not {overrides!r}.")
    return load_settings(**values)


def instant(text: str) -> datetime:
    """Reads an ISO 8601 instant.

    Raises:
        UserError: It is not one, or has no time zone.
    """
    try:
        value = datetime.fromisoformat(text)
    except ValueError as error:
        raise UserError(f"{text!r} is not an ISO 8601 instant such as 2026-03-02T00:00:00+00:00.") from error
    if value.tzinfo is None:
        raise UserError(f"{text} has no time zone. Write {text}+00:00 for UTC.")
    return value


def end_with_parent() -> None:
    """Ends this process when the runner that started it is gone, even when that was killed.

    The local runner starts steps through a shell that outlives it. An orphan would go on training, and could
    register a model that nobody asked for any more.
    """
    shell = psutil.Process(os.getppid())
    try:
        runner = shell.ppid()
    except psutil.NoSuchProcess:
        runner = 0
    if runner <= 1:
        return  # a container: its runtime ends all of its processes together

    def watch() -> None:
        while True:
            time.sleep(_SECONDS_BETWEEN_LOOKS)
            try:
                gone = shell.ppid() != runner
            except psutil.NoSuchProcess:
                gone = True
            if gone:
                os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()
