"""What every step needs before it starts: its settings and its MLflow run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from plumbline.errors import SettingsError
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
