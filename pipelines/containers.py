"""How a component runs on a cluster: its image, settings, credentials, resources and place."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import Any

from kfp import dsl, kubernetes
from kfp.dsl.base_component import BaseComponent

from plumbline.errors import UserError
from plumbline.settings import Settings
from plumbline.settings.pipelines_cluster import StepSettings

DEFAULT_STEP = "default"


def component(function: Callable[..., Any], image: str) -> BaseComponent:
    """Makes a KFP component of a function; nothing is installed when it runs."""
    return dsl.component(function, base_image=image, install_kfp_package=False)


def configure_tasks(tasks: Iterable[dsl.PipelineTask], settings: Settings) -> None:
    """Gives every task of a pipeline what the settings say.

    Raises:
        UserError: The settings name a step that the pipeline does not have.
    """
    by_name = {task.name.replace("-", "_"): task for task in tasks}
    for name in settings.pipelines.steps:
        if name != DEFAULT_STEP and name not in by_name:
            near = difflib.get_close_matches(name, by_name, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(by_name)}."
            raise UserError(f"pipelines.steps names {name}, which is no step. {hint}")
    for task in by_name.values():
        configure_task(task, settings)


def configure_task(task: dsl.PipelineTask, settings: Settings) -> None:
    """Gives a task its settings file, credentials, resources and place."""
    _configure(task, settings)
    _place(task, step_settings(settings, task.name.replace("-", "_")))


def step_settings(settings: Settings, name: str) -> StepSettings:
    """The settings of one step: its own over those of all."""
    steps = settings.pipelines.steps
    of_all, own = steps.get(DEFAULT_STEP, StepSettings()), steps.get(name, StepSettings())
    return of_all.model_copy(update={field: getattr(own, field) for field in own.model_fields_set})


def _configure(task: dsl.PipelineTask, settings: Settings) -> None:
    """Mounts the settings file, adds credentials, and keeps KFP from answering out of its cache.

    A cached answer names a model or a file that may be gone by now (kubeflow/pipelines#7939).
    """
    task.set_caching_options(enable_caching=False)
    pipelines = settings.pipelines
    kubernetes.use_config_map_as_volume(task, config_map_name=pipelines.config_map, mount_path=pipelines.config_mount)
    for variable, place in sorted(pipelines.credentials.items()):
        kubernetes.use_secret_as_env(task, place.secret, {place.key: variable})
    if pipelines.image_pull_secrets:
        kubernetes.set_image_pull_secrets(task, list(pipelines.image_pull_secrets))
    kubernetes.set_image_pull_policy(task, pipelines.image_pull_policy)
    kubernetes.set_security_context(task, run_as_non_root=True)


def _place(task: dsl.PipelineTask, step: StepSettings) -> None:
    if step.cpu_request is not None:
        task.set_cpu_request(step.cpu_request)
    if step.cpu_limit is not None:
        task.set_cpu_limit(step.cpu_limit)
    if step.memory_request is not None:
        task.set_memory_request(step.memory_request)
    if step.memory_limit is not None:
        task.set_memory_limit(step.memory_limit)
    if step.gpus:
        task.set_accelerator_type(step.gpu_resource)
        task.set_accelerator_limit(step.gpus)
    for label, value in step.node_selector.items():
        kubernetes.add_node_selector(task, label_key=label, label_value=value)
    for taint in step.tolerations:
        kubernetes.add_toleration(task, key=taint.key, operator=taint.operator, value=taint.value, effect=taint.effect)
    if step.timeout_seconds is not None:
        kubernetes.set_timeout(task, step.timeout_seconds)
