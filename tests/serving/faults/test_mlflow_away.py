"""MLflow is killed under load: the version stays; one that was promoted meanwhile is taken up once it is back."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from conftest import Installation
from fault_clients import Clients
from fault_log import require_each_once, shipped
from fault_replica import RunningReplica, on_free_port
from mlflow_server import MlflowServer

from plumbline import paths
from plumbline.features.online import OnlineFeatureReader
from plumbline.registry.models import ModelRegistry
from plumbline.settings import load_settings
from serving.engine.registry_source import RegistryModels

pytestmark = pytest.mark.slow


def test_without_mlflow_the_version_stays_and_is_changed_once_it_is_back(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"):
        monkeypatch.setenv(name, "7")  # serving sets them; here they must be as before afterwards
    first, second = installation.versions
    database = paths.tracking_dir(installation.settings) / "mlflow.db"
    with MlflowServer(database, tmp_path) as mlflow:
        settings = on_free_port(load_settings(home=installation.settings.home, tracking={"uri": mlflow.url}))
        replica = RunningReplica(
            settings, models=lambda name: RegistryModels(settings, name), features=OnlineFeatureReader(settings)
        )
        with replica, Clients(replica.url, "mlflow", posting=installation.posting) as clients:
            clients.wait_for(lambda seen: seen.version == first, count=20)
            mlflow.kill()
            # In the database itself: as somebody does whose own server is still there.
            ModelRegistry(installation.settings).promote(second, "while the endpoint's MLflow is away")
            _wait_for_failures(replica, 2)
            away = time.monotonic()
            clients.wait_for(lambda seen: seen.status == 200, count=20, since=away)
            assert {seen.version for seen in clients.seen} == {first}
            mlflow.start()
            clients.wait_for(lambda seen: seen.version == second, count=20, within=60)
            ModelRegistry(installation.settings).promote(first, "back again")

    assert clients.outcomes().keys() == {"200"}
    require_each_once(shipped(settings), clients.answered)


def _wait_for_failures(replica: RunningReplica, count: int) -> None:
    name = "plumbline_model_loads_total"
    deadline = time.monotonic() + 60
    while True:
        values = replica.metrics()
        failed = sum(value for key, value in values.items() if key.startswith(name) and "failed" in key)
        if failed >= count:
            return
        assert time.monotonic() < deadline, {key: value for key, value in values.items() if key.startswith(name)}
        time.sleep(0.1)
