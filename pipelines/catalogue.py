"""The pipelines by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable

from kfp.dsl.base_component import BaseComponent

from pipelines import training
from plumbline.errors import UserError
from plumbline.settings import Settings

PIPELINES: dict[str, Callable[[Settings], BaseComponent]] = {training.NAME: training.training_pipeline}


def pipeline_named(name: str, settings: Settings) -> BaseComponent:
    """Builds the pipeline of this name.

    Raises:
        UserError: There is none.
    """
    if name not in PIPELINES:
        near = difflib.get_close_matches(name, PIPELINES, n=1)
        hint = f" Did you mean {near[0]}?" if near else f" There are: {', '.join(PIPELINES)}."
        raise UserError(f"There is no pipeline {name}.{hint}")
    return PIPELINES[name](settings)
