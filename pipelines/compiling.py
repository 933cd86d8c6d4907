"""Compiles pipelines to KFP's intermediate representation, the form that a cluster takes."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import yaml
from kfp import compiler

from pipelines.catalogue import PIPELINES, pipeline_named
from plumbline.settings import Settings

COMPILED_DIR = Path(__file__).parent / "compiled"
"""Where the committed files lie, compiled with the default settings."""

ALLOWED_TASK_FIELDS = frozenset({"taskInfo", "inputs", "dependentTasks", "cachingOptions", "componentRef"})
"""What a task of the IR may carry. Conditions, loops, retries and exit handlers are left out: the local runner
runs all branches of a condition with status SUCCESS and ignores retries (kubeflow/pipelines#11793)."""


def compile_pipeline(name: str, settings: Settings, folder: Path) -> Path:
    """Writes the IR of one pipeline as `<name>.yaml`.

    Raises:
        UserError: There is no such pipeline.
    """
    pipeline = pipeline_named(name, settings)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.yaml"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiler.Compiler().compile(pipeline, str(path))
    return path


def compile_all(settings: Settings, folder: Path) -> list[Path]:
    """Writes the IR of every pipeline."""
    return [compile_pipeline(name, settings, folder) for name in PIPELINES]


def foreign_constructs(path: Path) -> list[str]:
    """What a compiled pipeline uses that the local runner and the cluster do not both do.

    Returns:
        One line per task and field; empty for a pipeline that may be used.
    """
    specification: dict[str, Any] = next(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    found = []
    graphs = {"root": specification["root"], **specification["components"]}
    for graph, component in graphs.items():
        for task, fields in component.get("dag", {}).get("tasks", {}).items():
            found += [f"{graph}.{task}: {field}" for field in sorted(set(fields) - ALLOWED_TASK_FIELDS)]
        if graph != "root" and "dag" in component:
            found.append(f"{graph}: a pipeline inside the pipeline")
    return found
