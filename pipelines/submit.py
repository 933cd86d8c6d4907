"""Sends a pipeline to a KFP API server."""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from pipelines.compiling import compile_pipeline
from plumbline.errors import DependencyError
from plumbline.settings import Settings

_SINGLE_USER_NAMESPACE = "kubeflow"


@dataclass(frozen=True)
class Submitted:
    """A run that the server has accepted."""

    run_id: str
    experiment_id: str
    url: str


def submit(name: str, arguments: Mapping[str, Any], settings: Settings, *, host: str, experiment: str) -> Submitted:
    """Compiles a pipeline with the settings' image and starts a run of it.

    Args:
        name: Name of the pipeline.
        arguments: The pipeline's parameters.
        settings: Image, configuration and namespace.
        host: Address of the API server.
        experiment: KFP experiment that the run belongs to; created where it is missing.

    Raises:
        UserError: There is no such pipeline.
        DependencyError: The server does not answer, or refuses.
    """
    host = host.rstrip("/")
    _require_server(host, settings.pipelines.timeout_seconds)
    import kfp_server_api
    from kfp.client import Client

    namespace = settings.pipelines.namespace
    # The client prints links on standard output, which is for the result.
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")
        package = compile_pipeline(name, settings, Path(folder))
        try:
            client = Client(host=host, namespace=namespace)
            run = client.create_run_from_pipeline_package(
                str(package),
                arguments=dict(arguments),
                experiment_name=experiment,
                namespace=None if namespace == _SINGLE_USER_NAMESPACE else namespace,
                enable_caching=False,
            ).run_info
        except (kfp_server_api.ApiException, OSError) as error:
            reason = getattr(error, "body", None) or error
            raise DependencyError(f"The KFP API server at {host} did not take the run: {reason}") from error
    return Submitted(str(run.run_id), str(run.experiment_id), f"{host}/#/runs/details/{run.run_id}")


def _require_server(host: str, timeout_seconds: float) -> None:
    """KFP's client retries and then shows a page of stack; one question tells sooner."""
    url = f"{host}/apis/v2beta1/healthz"
    try:
        answer = httpx.get(url, timeout=timeout_seconds)
        answer.raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise DependencyError(
            f"No KFP API server answers at {host} ({error}). Check --host, or forward its port with "
            "`kubectl port-forward -n kubeflow svc/ml-pipeline 8888`."
        ) from error
