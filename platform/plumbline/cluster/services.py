"""One look at each service that the settings name: is it there?"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any, Literal

import httpx

from plumbline.cluster.postgres import CONNECT_SECONDS, waiting_address
from plumbline.cluster.waiting import Check, sentence
from plumbline.errors import SettingsError
from plumbline.settings import Settings

Service = Literal["postgres", "redis", "objectstore", "mlflow", "model"]


def check_of(service: Service, settings: Settings) -> Check:
    """The check for `wait_until`."""
    make: dict[Service, Callable[[Settings], Check]] = {
        "postgres": _postgres,
        "redis": _redis,
        "objectstore": _objectstore,
        "mlflow": _mlflow,
        "model": _model,
    }
    return make[service](settings)


def _postgres(settings: Settings) -> Check:
    address = waiting_address(settings)
    import psycopg

    def check() -> str | None:
        try:
            with psycopg.connect(address, connect_timeout=CONNECT_SECONDS) as connection:
                connection.execute("SELECT 1")
        except psycopg.Error as error:
            return sentence(error)
        return None

    return check


def _redis(settings: Settings) -> Check:
    store = settings.features.online_store
    if store is None or store.get("type") != "redis":
        return _nothing_to_wait_for
    import redis

    arguments = redis_arguments(str(store.get("connection_string", "localhost:6379")))

    def check() -> str | None:
        client = redis.Redis(socket_connect_timeout=CONNECT_SECONDS, socket_timeout=CONNECT_SECONDS, **arguments)
        try:
            client.ping()
        except redis.RedisError as error:
            return sentence(error)
        finally:
            client.close()
        return None

    return check


def redis_arguments(connection_string: str) -> dict[str, Any]:
    """Feast's connection string, `host:port,key=value,...`, as arguments of the client; its first node."""
    words = [word for word in connection_string.split(",") if word]
    nodes = [word for word in words if "=" not in word]
    if not nodes:
        raise SettingsError("features.online_store names no host; write its connection_string as host:port,...")
    host, _, port = nodes[0].partition(":")
    arguments: dict[str, Any] = {"host": host, "port": int(port or 6379)}
    for word in words:
        name, found, value = word.partition("=")
        # `skip_full_coverage_check` belongs to the cluster client; one node is asked here.
        if found and name != "skip_full_coverage_check":
            arguments[name] = value if name in ("password", "username") else _decoded(value)
    return arguments


def _decoded(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def _objectstore(settings: Settings) -> Check:
    if settings.store.bucket is None:
        return _nothing_to_wait_for
    from plumbline.cluster.buckets import client_of, head

    client, bucket = client_of(settings.store), settings.store.bucket

    def check() -> str | None:
        found = head(client, bucket)
        return None if found == "there" else f"Bucket {bucket}: {found}."

    return check


def _mlflow(settings: Settings) -> Check:
    uri = settings.tracking.uri or ""
    if not uri.startswith(("http://", "https://")):
        return _nothing_to_wait_for

    def check() -> str | None:
        try:
            answer = httpx.get(f"{uri.rstrip('/')}/health", timeout=settings.tracking.timeout_seconds)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return f"{uri}: {sentence(error)}"
        return None if answer.status_code == httpx.codes.OK else f"{uri}/health answers {answer.status_code}."

    return check


def _model(settings: Settings) -> Check:
    alias, name = settings.serving.model_alias, settings.tracking.model_name
    there = _mlflow(settings)
    # MLflow's client repeats a failed request for minutes by default; repeating is this loop's work.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")

    def check() -> str | None:
        from mlflow.exceptions import MlflowException

        from plumbline.registry.models import ModelRegistry

        away = there()
        if away is not None:
            return away
        try:
            version = ModelRegistry(settings).version_of(alias)
        except MlflowException as error:
            return sentence(error)
        return None if version is not None else f"No version of {name} has the alias {alias} yet."

    return check


def _nothing_to_wait_for() -> str | None:
    """The settings keep this on the machine itself: a file or folder is always there."""
    return None
