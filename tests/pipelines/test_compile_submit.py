"""Compiled files that are current, and submission to a KFP API server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from kfp_api import KfpApi, running_api

from pipelines.catalogue import PIPELINES
from pipelines.compiling import COMPILED_DIR, compile_all, foreign_constructs
from pipelines.parameters import overrides_of
from pipelines.server import connect
from pipelines.submit import submit
from plumbline.errors import UserError
from plumbline.settings import Settings, load_settings
from plumbline.settings.pipelines import PipelineSettings


@pytest.fixture
def api() -> Iterator[KfpApi]:
    with running_api() as running:
        yield running


def _plumbline(settings: Settings, *arguments: str, **variables: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "plumbline", "pipeline", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PLUMBLINE_HOME": str(settings.home), **variables},
    )
    return done.returncode, done.stdout, done.stderr


def test_the_committed_files_are_current(tmp_path: Path) -> None:
    for path in compile_all(load_settings(), tmp_path):
        committed = COMPILED_DIR / path.name
        assert committed.read_text() == path.read_text(), f"plumbline pipeline compile --out {COMPILED_DIR}"
    assert {path.stem for path in COMPILED_DIR.glob("*.yaml")} == set(PIPELINES)


@pytest.mark.parametrize("name", sorted(PIPELINES))
def test_our_pipelines_use_what_both_runners_do(name: str) -> None:
    assert foreign_constructs(COMPILED_DIR / f"{name}.yaml") == []


def test_the_image_is_a_setting(tmp_path: Path) -> None:
    settings = load_settings(pipelines=PipelineSettings(image="registry.example/line:7"))
    (path,) = compile_all(settings, tmp_path)
    specification = next(yaml.safe_load_all(path.read_text()))
    images = {executor["container"]["image"] for executor in specification["deploymentSpec"]["executors"].values()}
    assert images == {"registry.example/line:7"}


def test_compile_writes_where_it_is_told(settings: Settings, tmp_path: Path) -> None:
    code, out, err = _plumbline(settings, "compile", "--out", str(tmp_path / "ir"), "--json")
    assert code == 0, err
    assert json.loads(out) == {"rows": [{"pipeline": "training", "file": str(tmp_path / "ir" / "training.yaml")}]}
    assert (tmp_path / "ir" / "training.yaml").is_file()


def test_submit_sends_the_compiled_pipeline_with_its_parameters(settings: Settings, api: KfpApi) -> None:
    code, out, err = _plumbline(
        settings, "submit", "training", "--host", api.url, "--snapshot", "latest",
        "--as-of", "2026-03-01T00:00:00+00:00", "--set", "model.seed=9", "--reason", "Drift.",
        "--json", PLUMBLINE_PIPELINES__IMAGE="registry.example/line:7",
    )  # fmt: skip
    assert code == 0, err
    answer = json.loads(out)
    assert answer["run_id"] == "r-1"
    assert answer["url"] == f"{api.url}/#/runs/details/r-1"
    assert [path for path, _ in api.posts] == ["experiments", "runs"]
    run = api.posts[1][1]
    assert run["experiment_id"] == "e-1"
    assert run["runtime_config"]["parameters"] == {
        "snapshot": "latest",
        "as_of": "2026-03-01T00:00:00+00:00",
        "reason": "Drift.",
        "overrides": '{"model": {"seed": 9}}',
        "submission": answer["submission"],
    }
    specification = run["pipeline_spec"]["pipeline_spec"]
    committed = next(yaml.safe_load_all((COMPILED_DIR / "training.yaml").read_text()))
    assert specification["root"] == committed["root"]
    assert specification["components"] == committed["components"]
    image = specification["deploymentSpec"]["executors"]["exec-train"]["container"]["image"]
    assert image == "registry.example/line:7"
    assert "kubernetes" in run["pipeline_spec"]["platform_spec"]["platforms"]


def test_a_key_is_submitted_again_only_after_a_failure(api: KfpApi) -> None:
    settings = load_settings()
    server = connect(settings, api.url)

    def run_id() -> str:
        return submit("training", {}, settings, server, experiment="line", key="k").run_id

    assert run_id() == run_id() == "r-1"
    api.runs["r-1"]["state"] = "SUCCEEDED"
    assert run_id() == "r-1"
    api.runs["r-1"]["state"] = "FAILED"
    assert run_id() == run_id() == "r-2"


def test_a_server_that_is_starting_is_waited_for(api: KfpApi) -> None:
    api.token = "not ready"
    threading.Timer(1.0, setattr, (api, "token", None)).start()
    assert connect(load_settings(), api.url, wait_seconds=60).host == api.url


def test_a_server_that_is_not_there_is_told_quickly(settings: Settings) -> None:
    start = time.monotonic()
    code, out, err = _plumbline(settings, "submit", "training", "--host", "http://127.0.0.1:9")
    assert code == 4
    assert out == ""
    assert "No KFP API server answers at http://127.0.0.1:9" in err.splitlines()[-1]
    assert time.monotonic() - start < 15


def test_submitting_nowhere_asks_for_the_host(settings: Settings) -> None:
    code, _, err = _plumbline(settings, "submit", "training")
    assert code == 2
    assert "--host" in err


def test_settings_of_one_run_are_read_as_yaml() -> None:
    assert overrides_of(["model.seed=9", "pipelines.gate.metric=macro_f1", "model.refit=false"]) == {
        "model": {"seed": 9, "refit": False},
        "pipelines": {"gate": {"metric": "macro_f1"}},
    }
    with pytest.raises(UserError, match="another --set"):
        overrides_of(["model=3", "model.seed=9"])


def test_parity_is_nobodys_word(settings: Settings) -> None:
    code, _, err = _plumbline(settings, "run", "training", "--parity", "1")
    assert code == 2
    assert "--parity" in err
