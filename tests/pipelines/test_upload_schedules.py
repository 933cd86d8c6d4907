"""Pipelines and schedules on a KFP API server: what is new, what stays, what goes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp_api import KfpApi, running_api

from pipelines.compiling import compile_pipeline
from pipelines.schedules import apply_schedules
from pipelines.server import connect
from pipelines.upload import Uploaded, upload
from plumbline.errors import DependencyError, UserError
from plumbline.settings import Settings, load_settings

WEEKLY = {"name": "weekly", "cron": "0 3 * * 1", "parameters": {"reason": "Weekly."}}


@pytest.fixture
def api() -> Iterator[KfpApi]:
    with running_api() as running:
        yield running


def _settings(**pipelines: Any) -> Settings:
    return load_settings(pipelines=pipelines)


def _upload(api: KfpApi, **pipelines: Any) -> list[Uploaded]:
    settings = _settings(**pipelines)
    return upload(settings, connect(settings, api.url))


def _apply(api: KfpApi, *schedules: dict[str, Any], **pipelines: Any) -> dict[str, str]:
    settings = _settings(schedules=schedules, **pipelines)
    server = connect(settings, api.url)
    done = apply_schedules(settings, server, upload(settings, server), experiment="line")
    return {applied.schedule: applied.change for applied in done}


def test_a_pipeline_is_uploaded_once_for_each_content(api: KfpApi) -> None:
    (first,) = _upload(api)
    (again,) = _upload(api)
    (other,) = _upload(api, image="registry.example/line:8")
    (back,) = _upload(api)
    assert [first.new, again.new, other.new, back.new] == [True, False, True, False]
    assert first.version_id == again.version_id == back.version_id != other.version_id
    assert len(api.pipelines) == 1
    assert [version["display_name"] for version in api.versions.values()] == [first.version, other.version]
    assert "registry.example/line:8" in api.versions[other.version_id]["content"]


def test_schedules_follow_the_settings(api: KfpApi) -> None:
    assert _apply(api, WEEKLY) == {"weekly": "created"}
    (made,) = api.recurring.values()
    assert made["trigger"]["cron_schedule"]["cron"] == "0 0 3 * * 1"
    assert made["mode"] == "ENABLE"
    assert made["no_catchup"] is True
    assert made["runtime_config"]["parameters"] == {"reason": "Weekly."}
    assert made["pipeline_version_reference"]["pipeline_version_id"] == "v-1"

    assert _apply(api, WEEKLY) == {"weekly": "kept"}
    assert _apply(api, {**WEEKLY, "cron": "0 4 * * 1"}) == {"weekly": "replaced"}
    assert _apply(api, {**WEEKLY, "cron": "0 4 * * 1"}, image="registry.example/line:8") == {"weekly": "replaced"}
    (made,) = api.recurring.values()
    assert made["pipeline_version_reference"]["pipeline_version_id"] == "v-2"
    off = {**WEEKLY, "name": "nightly", "enabled": False}
    assert _apply(api, off) == {"weekly": "deleted", "nightly": "created"}
    assert [run["mode"] for run in api.recurring.values()] == ["DISABLE"]


def test_schedules_of_others_are_left_alone(api: KfpApi) -> None:
    api.recurring["s-0"] = {"recurring_run_id": "s-0", "display_name": "weekly", "description": "By hand."}
    assert _apply(api, WEEKLY) == {"weekly": "created"}
    assert _apply(api, config_map="second-settings") == {}
    assert _apply(api) == {"weekly": "deleted"}
    assert list(api.recurring) == ["s-0"]


def test_a_schedule_of_no_pipeline_is_refused(api: KfpApi) -> None:
    with pytest.raises(UserError, match="nightly names the pipeline trainin, which is none"):
        _apply(api, {"name": "nightly", "cron": "0 3 * * *", "pipeline": "trainin"})


def test_a_parameter_that_the_pipeline_does_not_take_is_refused(api: KfpApi) -> None:
    with pytest.raises(UserError, match=r"weekly gives parity, which the pipeline training does not take.*snapshot"):
        _apply(api, {**WEEKLY, "parameters": {"parity": 1.0}})
    assert not api.recurring


def test_a_server_with_many_users_gets_token_and_namespace() -> None:
    with running_api(token="secret", multi_user=True) as api:
        with pytest.raises(DependencyError, match="401"):
            _apply(api, WEEKLY)
        assert _apply(api, WEEKLY, token="secret", namespace="team-a") == {"weekly": "created"}
        assert [body["namespace"] for body in api.experiments.values()] == ["team-a"]
        assert [body["namespace"] for body in api.pipelines.values()] == ["team-a"]


def test_a_token_is_read_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("secret\n")
    with running_api(token="secret") as api:
        assert len(_upload(api, token_file=file)) == 1


def test_steps_get_credentials_resources_and_place(tmp_path: Path) -> None:
    settings = _settings(
        credentials={"PGPASSWORD": {"secret": "line-postgres", "key": "password"}},
        image_pull_secrets=["registry"],
        steps={
            "default": {"cpu_request": "250m", "memory_limit": "3Gi", "timeout_seconds": 900},
            "train": {
                "gpus": 1,
                "memory_limit": "8Gi",
                "node_selector": {"pool": "gpu"},
                "tolerations": [{"key": "gpu", "operator": "Exists"}],
            },
        },
    )
    spec, platform = yaml.safe_load_all(compile_pipeline("training", settings, tmp_path).read_text())
    containers = {name: body["container"] for name, body in spec["deploymentSpec"]["executors"].items()}
    assert containers["exec-split"]["resources"]["resourceCpuRequest"] == "250m"
    assert containers["exec-split"]["resources"]["resourceMemoryLimit"] == "3Gi"
    assert containers["exec-train"]["resources"]["resourceMemoryLimit"] == "8Gi"
    assert containers["exec-train"]["resources"]["resourceCpuRequest"] == "250m"
    assert containers["exec-train"]["resources"]["accelerator"]["resourceType"] == "nvidia.com/gpu"
    pods = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    for pod in pods.values():
        assert pod["secretAsEnv"][0]["secretName"] == "line-postgres"
        assert pod["secretAsEnv"][0]["keyToEnv"] == [{"envVar": "PGPASSWORD", "secretKey": "password"}]
        assert pod["securityContext"] == {"runAsNonRoot": True}
        assert pod["imagePullSecret"][0]["secretName"] == "registry"
        assert pod["activeDeadlineSeconds"] == "900"
    assert pods["exec-train"]["nodeSelector"]["labels"] == {"pool": "gpu"}
    assert pods["exec-train"]["tolerations"][0]["key"] == "gpu"
    assert "nodeSelector" not in pods["exec-split"]


def test_a_step_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="names trian, which is no step"):
        compile_pipeline("training", _settings(steps={"trian": {"gpus": 1}}), tmp_path)
