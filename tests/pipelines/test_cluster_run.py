"""Training as on a cluster: submitted to a KFP API server, each step in a pod of its own, no folder in common."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pandas as pd
import pytest
import yaml
from conftest import FAST, Line
from kfp_api import KfpApi, running_api
from mlflow_server import MlflowServer
from pods import Pods
from s3_endpoint import CREDENTIALS, running_endpoint, store_in

from plumbline.data.snapshot import SnapshotStore
from plumbline.features.parity_record import keep_parity, newest_parity
from plumbline.registry.models import ModelRegistry
from plumbline.registry.tracking import create_database
from plumbline.settings import load_settings
from plumbline.storage import open_store

BUCKET = "line"
AS_OF = "2026-03-09T00:00:00+00:00"
KEYS = {
    "PLUMBLINE_STORE__ACCESS_KEY_ID": {"secret": "line-objectstore", "key": "id"},
    "PLUMBLINE_STORE__SECRET_ACCESS_KEY": {"secret": "line-objectstore", "key": "key"},
}

LOCAL_ANSWER = {
    "pipeline", "run_id", "model_version", "snapshot_id", "as_of", "rows", "metrics", "champion_metrics", "gate",
    "promoted", "seconds", "folder",
}  # fmt: skip
"""What `pipeline run training --json` has; a test of the local runner looks at the same names."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@dataclass(frozen=True)
class Cluster:
    """Object store, MLflow, KFP, and what the steps' pods get."""

    api: KfpApi
    pods: Pods
    store: dict[str, Any]
    mlflow: str
    folder: Path

    def submit(self, *arguments: str) -> tuple[int, str, str]:
        """`plumbline pipeline submit training --wait` from a machine of its own."""
        return self.call("pipeline", "submit", "training", "--wait", *arguments)

    def call(self, *arguments: str) -> tuple[int, str, str]:
        """Runs a command on a machine of its own."""
        home = self.folder / f"home-{time.monotonic_ns()}"
        done = subprocess.run(
            [sys.executable, "-m", "plumbline", *arguments, "--json"],
            capture_output=True,
            text=True,
            check=False,
            env={
                **os.environ,
                "PLUMBLINE_HOME": str(home),
                "PLUMBLINE_CONFIG": str(self.folder / "plumbline.yaml"),
                "PLUMBLINE_STORE__ACCESS_KEY_ID": CREDENTIALS["access_key_id"],
                "PLUMBLINE_STORE__SECRET_ACCESS_KEY": CREDENTIALS["secret_access_key"],
            },
        )
        return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("mlflow")
    create_database(folder / "mlflow.db")  # the server's own way waits for the disk at each of its migrations
    with MlflowServer(folder / "mlflow.db", folder / "artifacts") as server:
        yield server.url


@pytest.fixture(scope="module")
def cluster(line: Line, mlflow_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    with running_endpoint() as endpoint, running_api() as api:
        store = store_in(endpoint, BUCKET)
        settings = {
            "profile": "cluster",
            "store": {"bucket": BUCKET, "endpoint_url": endpoint},
            "tracking": {"uri": mlflow_server},
            "pipelines": {"runner": "kfp", "host": api.url, "credentials": KEYS, "poll_seconds": 0.3},
        }
        text = yaml.safe_dump(settings)
        (folder / "plumbline.yaml").write_text(text)
        client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id=CREDENTIALS["access_key_id"],
            aws_secret_access_key=CREDENTIALS["secret_access_key"],
        )
        pods = Pods(
            folder / "pods",
            client,
            BUCKET,
            {"line-objectstore": {"id": CREDENTIALS["access_key_id"], "key": CREDENTIALS["secret_access_key"]}},
            {"plumbline-settings": {"plumbline.yaml": text}},
        )
        api.execute = pods.run
        frame = SnapshotStore(open_store(line.settings)).read(line.snapshot_id)
        SnapshotStore(open_store(load_settings(store=store))).write(frame, source={"kind": "generator"})
        yield Cluster(api, pods, store, mlflow_server, folder)


@pytest.fixture(scope="module")
def answer(cluster: Cluster) -> dict[str, Any]:
    code, _, err = cluster.call("features", "prepare", "--as-of", AS_OF, "--pairs", "200")
    assert code == 0, err
    code, out, err = cluster.submit("--as-of", AS_OF, "--key", "first", *FAST)
    assert code == 0, err
    found: dict[str, Any] = json.loads(out)
    return found


def test_the_answer_is_that_of_a_local_run(answer: dict[str, Any], cluster: Cluster, line: Line) -> None:
    assert cluster.pods.ran == list(answer["seconds"])
    assert answer["promoted"] is True, answer["gate"]["reasons"]
    assert answer["gate"]["numbers"]["parity"]["checked"] == 200  # measured by another pod, read by the gate's
    assert answer["snapshot_id"] == line.snapshot_id
    assert answer["as_of"] == AS_OF
    assert answer["metrics"]["n"] == answer["rows"]["evaluation"]
    assert answer["url"] == f"{cluster.api.url}/#/runs/details/{answer['kfp_run_id']}"
    assert set(answer) >= LOCAL_ANSWER


def test_the_version_is_whole(answer: dict[str, Any], cluster: Cluster, tmp_path: Path) -> None:
    settings = load_settings(
        profile="cluster", home=tmp_path / "home", store=cluster.store, tracking={"uri": cluster.mlflow}
    )
    loaded = ModelRegistry(settings).fetch("champion")
    assert loaded.version == answer["model_version"]
    assert loaded.reference is not None
    assert len(pd.read_parquet(loaded.reference)) > answer["metrics"]["n"]


def test_a_key_that_was_submitted_starts_nothing(answer: dict[str, Any], cluster: Cluster) -> None:
    code, out, err = cluster.submit("--as-of", AS_OF, "--key", "first")
    assert code == 0, err
    assert json.loads(out)["model_version"] == answer["model_version"]
    assert json.loads(out)["kfp_run_id"] == answer["kfp_run_id"]


def test_a_step_that_fails_gives_its_own_error(answer: dict[str, Any], cluster: Cluster) -> None:
    settings = load_settings(store=cluster.store)
    record = newest_parity(settings, answer["snapshot_id"], "posting_classifier_v1")
    assert record is not None
    keep_parity(settings, record.model_copy(update={"matched": 198, "share": 0.99}))
    code, out, err = cluster.submit("--as-of", AS_OF)
    assert (code, out) == (3, "")
    assert "Step validate: Offline and online features agree on 99.00%" in err.splitlines()[-1]


def test_a_run_that_never_began_gives_what_kfp_says(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("ImagePullBackOff")

    monkeypatch.setattr(cluster.api, "execute", fail)
    code, out, err = cluster.submit("--as-of", AS_OF)
    assert (code, out) == (1, "")
    assert "root: ImagePullBackOff." in err.splitlines()[-1]
