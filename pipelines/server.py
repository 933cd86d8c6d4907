"""The connection to a KFP API server."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from plumbline.errors import DependencyError, MissingInputError, UserError
from plumbline.settings import Settings

if TYPE_CHECKING:
    from kfp.client import Client
    from kfp_server_api import PipelineServiceApi

_SECONDS_BETWEEN_TRIES = 3.0


@dataclass(frozen=True)
class Server:
    """A KFP API server that answers.

    Attributes:
        host: Its address.
        client: KFP's own client.
        namespace: Namespace of runs and schedules; None where the server has a single user.
        pipelines: The API's part for pipelines, for what KFP's own client does not offer.
    """

    host: str
    client: Client
    namespace: str | None
    pipelines: PipelineServiceApi


def address_of(settings: Settings, host: str | None) -> str:
    """Address of the API server: the given one, else that of the settings.

    Raises:
        UserError: There is neither.
    """
    address = host or settings.pipelines.host
    if address is None:
        raise UserError("Name the KFP API server with --host or PLUMBLINE_PIPELINES__HOST.")
    return address.rstrip("/")


def connect(settings: Settings, host: str, *, wait_seconds: float = 0.0) -> Server:
    """Opens a connection.

    Args:
        settings: Token, namespace, time limits.
        host: Address.
        wait_seconds: How long to wait for a server that does not answer yet.

    Raises:
        DependencyError: It does not answer.
    """
    token = _token(settings)
    health = _health(host, token, settings.pipelines.timeout_seconds, wait_seconds)
    import kfp_server_api
    from kfp.client import Client

    with quiet():
        client = Client(host=host, namespace=settings.pipelines.namespace, existing_token=token)
    configuration = kfp_server_api.Configuration(host=host)
    if token:
        configuration.api_key["authorization"] = token
        configuration.api_key_prefix["authorization"] = "Bearer"
    pipelines = kfp_server_api.PipelineServiceApi(kfp_server_api.ApiClient(configuration))
    return Server(host, client, settings.pipelines.namespace if health.get("multi_user") else None, pipelines)


@contextmanager
def quiet() -> Iterator[None]:
    """KFP's client prints links on standard output, which is for the result."""
    with warnings.catch_warnings(), redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")
        yield


@contextmanager
def refusals(host: str, what: str) -> Iterator[None]:
    """Turns what KFP's client raises into one sentence."""
    import kfp_server_api
    import urllib3

    try:
        with quiet():
            yield
    except (kfp_server_api.ApiException, urllib3.exceptions.HTTPError, OSError) as error:
        reason = getattr(error, "body", None) or error
        raise DependencyError(f"The KFP API server at {host} did not take {what}: {reason}") from error


def _token(settings: Settings) -> str | None:
    if settings.pipelines.token is not None:
        return settings.pipelines.token.get_secret_value()
    path = settings.pipelines.token_file
    if path is None:
        return None
    if not path.is_file():
        raise MissingInputError(f"{path} holds no token for the KFP API server. Correct pipelines.token_file.")
    return path.read_text(encoding="utf-8").strip()


def _health(host: str, token: str | None, timeout_seconds: float, wait_seconds: float) -> dict[str, Any]:
    """KFP's client retries and then shows a page of stack; one question tells sooner."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            return _ask(host, headers, timeout_seconds)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            if time.monotonic() >= deadline or isinstance(error, httpx.InvalidURL):
                raise DependencyError(
                    f"No KFP API server answers at {host} ({error}). Check --host, or forward its port with "
                    "`kubectl port-forward svc/ml-pipeline 8888` (the chart's is svc/<release>-plumbline-kfp-api)."
                ) from error
        time.sleep(min(_SECONDS_BETWEEN_TRIES, max(0.0, deadline - time.monotonic())))


def _ask(host: str, headers: dict[str, str], timeout_seconds: float) -> dict[str, Any]:
    answer = httpx.get(f"{host}/apis/v2beta1/healthz", timeout=timeout_seconds, headers=headers)
    answer.raise_for_status()
    content: dict[str, Any] = answer.json()
    return content
