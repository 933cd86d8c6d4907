"""The application as a Ray cluster is given it: by import path, its resources from the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.serve.schema import ServeDeploySchema

from plumbline.errors import SettingsError
from serving.deployment import application, build

_CONFIG = """
proxy_location: EveryNode
http_options: {host: 0.0.0.0, port: 8000}
applications:
  - name: postings
    import_path: "serving.deployment:build"
    route_prefix: /
    deployments:
      - name: posting-service
        num_replicas: 2
        ray_actor_options: {num_cpus: 1, num_gpus: 0.25}
"""


def _deployment(arguments: dict[str, Any]) -> Any:
    return build(arguments)._bound_deployment


def test_the_configuration_of_the_docs_is_valid() -> None:
    found = ServeDeploySchema.model_validate(yaml.safe_load(_CONFIG)).applications[0]
    assert found.import_path == "serving.deployment:build"
    assert found.deployments[0].name == _deployment({}).name


def test_resources_and_scale_come_from_the_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = tmp_path / "plumbline.yaml"
    config.write_text("serving: {num_cpus: 2, num_gpus: 0.5, replicas: 2, max_replicas: 4}\n")
    monkeypatch.setenv("PLUMBLINE_CONFIG", str(config))
    found = _deployment({})
    assert found.ray_actor_options["num_gpus"] == 0.5
    assert found.ray_actor_options["num_cpus"] == 2
    scaling = found._deployment_config.autoscaling_config
    assert (scaling.min_replicas, scaling.max_replicas) == (2, 4)
    fixed = _deployment({"serving": {"max_replicas": None}})
    assert (fixed.num_replicas, fixed._deployment_config.autoscaling_config) == (2, None)


def test_a_wrong_argument_is_told() -> None:
    with pytest.raises(SettingsError, match=r"serving\.replica "):
        build({"serving": {"replica": 2}})


def test_serve_run_has_one_replica_whatever_the_settings_say(settings: Any) -> None:
    many = settings.model_copy(update={"serving": settings.serving.model_copy(update={"replicas": 3})})
    assert application(many, Path("log.socket"))._bound_deployment.num_replicas == 1
