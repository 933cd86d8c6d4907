"""Starts a run of a pipeline on a KFP API server."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.compiling import compile_pipeline
from pipelines.server import Server, refusals
from plumbline.settings import Settings

_FAILED = frozenset({"FAILED", "CANCELED"})


@dataclass(frozen=True)
class Submitted:
    """A run that the server has accepted."""

    run_id: str
    experiment_id: str
    url: str
    submission: str
    """Key that it is found by again, here and in MLflow."""


def submit(
    name: str, arguments: Mapping[str, Any], settings: Settings, server: Server, *, experiment: str, key: str
) -> Submitted:
    """Compiles a pipeline with the settings' image and starts a run of it.

    A key whose run is on its way or has succeeded starts nothing: that run is the answer. One that failed may be
    tried again under its key.

    Args:
        name: Name of the pipeline.
        arguments: The pipeline's parameters.
        settings: Image, configuration, credentials, resources.
        server: Where to.
        experiment: KFP experiment that the run belongs to; created where it is missing.
        key: Key of this submission.

    Raises:
        UserError: There is no such pipeline.
        DependencyError: The server refuses.
    """
    title = f"{name}-{key}"
    with refusals(server.host, "the run"), tempfile.TemporaryDirectory() as folder:
        client, namespace = server.client, server.namespace
        experiment_id = client.create_experiment(experiment, namespace=namespace).experiment_id
        same = json.dumps({"predicates": [{"key": "display_name", "operation": "EQUALS", "stringValue": title}]})
        earlier = client.list_runs(experiment_id=experiment_id, namespace=namespace, filter=same).runs or []
        run = next((run for run in earlier if run.display_name == title and run.state not in _FAILED), None)
        if run is None:
            run = client.create_run_from_pipeline_package(
                str(compile_pipeline(name, settings, Path(folder))),
                arguments={**arguments, "submission": key},
                run_name=title,
                experiment_id=experiment_id,
                namespace=namespace,
                enable_caching=False,
                service_account=settings.pipelines.service_account,
            ).run_info
    return Submitted(str(run.run_id), str(experiment_id), f"{server.host}/#/runs/details/{run.run_id}", key)
