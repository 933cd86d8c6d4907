"""What every step needs before it starts: its settings and its MLflow run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from plumbline.errors import SettingsError, UserError
from plumbline.registry.runs import Run, child_run
from plumbline.registry.steps.runner import end_with_runner
from plumbline.settings import Settings, load_settings


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
    settings = step_settings(overrides)
    end_with_runner(settings)
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
