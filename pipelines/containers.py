"""How a component runs: its image, and where a cluster's containers find the settings."""

from collections.abc import Callable
from typing import Any

from kfp import dsl, kubernetes
from kfp.dsl.base_component import BaseComponent

from plumbline.settings import Settings


def component(function: Callable[..., Any], image: str) -> BaseComponent:
    """Makes a KFP component of a function; nothing is installed when it runs."""
    return dsl.component(function, base_image=image, install_kfp_package=False)


def configure_task(task: dsl.PipelineTask, settings: Settings) -> None:
    """Mounts the settings file, and keeps KFP from answering out of its cache.

    A cached answer names a model or a file that may be gone by now (kubeflow/pipelines#7939).
    """
    task.set_caching_options(enable_caching=False)
    kubernetes.use_config_map_as_volume(
        task, config_map_name=settings.pipelines.config_map, mount_path=settings.pipelines.config_mount
    )
