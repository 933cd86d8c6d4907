"""Kubeflow Pipelines in the chart: what its programs read fits together, and CRDs of others are left alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from chart_matrix import rendered
from helm_engine import NAMESPACE, RELEASE, Render, render

from pipelines.compiling import compile_pipeline
from plumbline.settings import load_settings

CRD = "scheduledworkflows.kubeflow.org"


@pytest.fixture(scope="module")
def kfp() -> Render:
    return rendered("kfp")


def _settings_file(objects: Render) -> str:
    return str(objects.one("ConfigMap", "plumbline-settings")["data"]["plumbline.yaml"])


def test_steps_name_only_what_the_chart_has(kfp: Render, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "plumbline.yaml"
    file.write_text(_settings_file(kfp))
    monkeypatch.setenv("PLUMBLINE_CONFIG", str(file))
    settings = load_settings()
    spec, platform = yaml.safe_load_all(compile_pipeline("training", settings, tmp_path).read_text())

    secrets = {
        item["metadata"]["name"]: {*item.get("data", {}), *item.get("stringData", {})} for item in kfp.of_kind("Secret")
    }
    pods = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    for pod in pods.values():
        kfp.one("ConfigMap", pod["configMapAsVolume"][0]["configMapName"])
        named = {
            (secret["secretName"], key["secretKey"]) for secret in pod["secretAsEnv"] for key in secret["keyToEnv"]
        }
        assert named
        assert all(key in secrets[secret] for secret, key in named)
    for executor in spec["deploymentSpec"]["executors"].values():
        resources = executor["container"]["resources"]
        assert {"resourceCpuRequest", "resourceMemoryRequest", "resourceMemoryLimit"} <= set(resources)
    kfp.one("ServiceAccount", str(settings.pipelines.service_account))
    service = kfp.one("Service", "kfp-api")
    assert settings.pipelines.host == f"http://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"


def test_the_server_names_what_the_chart_has(kfp: Render) -> None:
    configuration = json.loads(kfp.one("ConfigMap", "kfp-api")["data"]["config.json"])
    kfp.one("ServiceAccount", configuration["DEFAULTPIPELINERUNNERSERVICEACCOUNT"])
    mysql = configuration["DBConfig"]["MySQLConfig"]
    assert (mysql["Host"], mysql["Port"]) == (kfp.one("Service", "kfp-mysql")["metadata"]["name"], "3306")
    container = kfp.one("Deployment", "kfp-api")["spec"]["template"]["spec"]["containers"][0]
    variables = {variable["name"]: variable.get("value") for variable in container["env"]}
    assert variables["METADATA_SERVICE_NAME"] == kfp.one("Service", "kfp-metadata")["metadata"]["name"]
    assert variables["ML_PIPELINE_SERVICE_NAME"] == kfp.one("Service", "kfp-api")["metadata"]["name"]
    made = kfp.one("Deployment", "kfp-mysql")["spec"]["template"]["spec"]["containers"][0]["env"]
    databases = next(variable["value"] for variable in made if variable["name"] == "KFP_DATABASES").split()
    assert mysql["DBName"] in databases


def test_pods_of_runs_are_let_through_and_confined(kfp: Render) -> None:
    configuration = kfp.one("ConfigMap", "kfp-argo")["data"]
    workflow = yaml.safe_load(configuration["workflowDefaults"])["spec"]
    policy = kfp.one("NetworkPolicy", "kfp-run")["spec"]["podSelector"]["matchLabels"]
    assert policy.items() <= workflow["podMetadata"]["labels"].items()
    patch = yaml.safe_load(workflow["podSpecPatch"])
    assert patch["enableServiceLinks"] is False
    (main,) = patch["containers"]
    assert main["securityContext"] == {"readOnlyRootFilesystem": True}
    assert {mount["name"] for mount in main["volumeMounts"]} == {volume["name"] for volume in patch["volumes"]}
    executor = yaml.safe_load(configuration["executor"])
    assert executor["securityContext"]["runAsNonRoot"] is True
    repository = yaml.safe_load(configuration["artifactRepository"])["s3"]
    role = kfp.one("Role", "kfp-run")["rules"]
    readable = {name for rule in role if rule["resources"] == ["secrets"] for name in rule["resourceNames"]}
    assert readable == {repository["accessKeySecret"]["name"]}


def test_without_keys_the_store_is_reached_by_identity() -> None:
    objects = render({"kfp": {"enabled": True}, "objectstore": {"enabled": False}})
    launcher = yaml.safe_load(objects.one("ConfigMap", "kfp-launcher")["data"]["providers"])["s3"]["default"]
    assert launcher["credentials"] == {"fromEnv": True}
    assert launcher["endpoint"] == "s3.us-east-1.amazonaws.com"
    assert all(rule["resources"] != ["secrets"] for rule in objects.one("Role", "kfp-run")["rules"])


def _crds(objects: Render) -> set[str]:
    return {item["metadata"]["name"] for item in objects.of_kind("CustomResourceDefinition")}


def _existing(annotations: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": CRD, "annotations": annotations}
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": metadata}


def test_crds_are_kept_at_uninstall_and_left_to_their_owner(kfp: Render) -> None:
    assert CRD in _crds(kfp)
    for item in kfp.of_kind("CustomResourceDefinition"):
        assert item["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    values = {"kfp": {"enabled": True}}
    own = {"meta.helm.sh/release-name": RELEASE, "meta.helm.sh/release-namespace": NAMESPACE}
    assert CRD not in _crds(render(values, objects=[_existing({})]))
    assert CRD not in _crds(render(values, objects=[_existing({**own, "meta.helm.sh/release-name": "other"})]))
    adopted = _existing(own)
    adopted["metadata"]["labels"] = {"app.kubernetes.io/managed-by": "Helm"}
    assert CRD in _crds(render(values, objects=[adopted]))
    assert _crds(render({"kfp": {"enabled": True, "installCRDs": False}})) == set()
