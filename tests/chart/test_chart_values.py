"""Values: wrong ones are refused with their path before anything is installed."""

from __future__ import annotations

import functools
from typing import Any

import policy_network
import policy_objects
import pytest
import yaml
from helm_engine import CHART, Render, RenderError, merge, read_values, render

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"servnig": {}}, "servnig"),
    ({"serving": {"replica": 2}}, "/serving': additional properties 'replica'"),
    ({"serving": {"replicas": "two"}}, "/serving/replicas"),
    ({"serving": {"replicas": -1}}, "/serving/replicas"),
    ({"serving": {"mode": "statefulset"}}, "/serving/mode"),
    ({"serving": {"service": {"port": 70000}}}, "/serving/service/port"),
    ({"serving": {"resources": {"requests": {"memory": "1 GB"}}}}, "/serving/resources/requests/memory"),
    ({"serving": {"tolerations": {"key": "gpu"}}}, "/serving/tolerations"),
    ({"serving": {"rayservice": {"workerGroup": {"maxReplica": 3}}}}, "/serving/rayservice/workerGroup"),
    ({"images": {"roles": {"servin": {}}}}, "/images/roles"),
    ({"images": {"tag": "latest"}}, "/images/tag"),
    ({"images": {"pullPolicy": "Sometimes"}}, "/images/pullPolicy"),
    ({"images": {"roles": {"serving": {"digest": "sha256:abc"}}}}, "/images/roles/serving/digest"),
    ({"global": {"imagePullSecret": "x"}}, "imagePullSecret"),
    ({"postgres": {"external": {"sslmode": "require"}}}, "/postgres/external"),
    ({"postgres": {"auth": {"password": 12345}}}, "/postgres/auth/password"),
    ({"objectstore": {"external": {"endpointUrl": "s3.example.org"}}}, "/objectstore/external/endpointUrl"),
    ({"mlflow": {"external": {"url": "mlflow:5000"}}}, "/mlflow/external/url"),
    ({"monitoring": {"job": {"schedule": "every night"}}}, "/monitoring/job/schedule"),
    ({"networkPolicy": {"clients": [{"nameSpaceSelector": {}}]}}, "/networkPolicy/clients/0"),
    ({"networkPolicy": {"kubernetesApiPorts": ["https"]}}, "/networkPolicy/kubernetesApiPorts/0"),
    ({"ingress": {"hosts": {"mlfow": "x.example.org"}}}, "/ingress/hosts"),
    ({"settings": {"serving": {"latency_budget": 50}}}, "/settings/serving"),
    ({"settings": {"serving": {"latency_budget_ms": "fast"}}}, "/settings/serving/latency_budget_ms"),
    ({"settings": {"serving": {"latency_budget_ms": -1}}}, "/settings/serving/latency_budget_ms"),
    ({"settings": {"pipelines": {"gate": {"metric": "auc"}}}}, "/settings/pipelines/gate/metric"),
    ({"settings": {"servin": {}}}, "/settings"),
    ({"settings": {"tracking": {"model_name": "team/classifier"}}}, "/settings/tracking/model_name"),
    ({"settings": {"serving": {"models": {"team/classifier": {}}}}}, "/settings/serving/models"),
    ({"settings": {"serving": {"models": {"other": {"alias": "a b"}}}}}, "/settings/serving/models/other/alias"),
    ({"settings": {"store": {"secret_access_key": "x"}}}, "/settings/store"),
    ({"controller": {"auth": {"token": "too-short"}}}, "/controller/auth/token"),
    ({"postgres": {"enabled": False}}, "postgres.external.host is needed where postgres.enabled is false"),
    ({"redis": {"enabled": False}}, "redis.external.host is needed where redis.enabled is false"),
    ({"mlflow": {"enabled": False}}, "mlflow.external.url is needed where mlflow.enabled is false"),
    ({"postgres": {"image": {"tag": "", "digest": ""}}}, "needs a tag or a digest"),
]


@pytest.mark.parametrize(("values", "path"), WRONG, ids=[path for _, path in WRONG])
def test_wrong_value_is_refused_with_its_path(values, path):
    with pytest.raises(RenderError) as refusal:
        render(values)
    assert path in str(refusal.value)


@pytest.mark.parametrize("file", sorted(CHART.glob("values*.yaml")) + sorted(CHART.glob("ci/*-values.yaml")), ids=str)
def test_no_values_are_given_twice(file):
    # YAML's readers take the last one, without a word about the first.
    class Once(yaml.SafeLoader):
        def construct_mapping(self, node, deep=False):
            keys = [self.construct_object(key, deep=True) for key, _ in node.value]
            assert len(keys) == len(set(keys)), f"line {node.start_mark.line + 1}: {keys}"
            return super().construct_mapping(node, deep)

    yaml.load(file.read_text(), Once)


SWITCHABLE: dict[str, Any] = {
    "mlflow": {"replicas": 2},
    "serving": {"replicas": 2},
    "kfp": {
        "enabled": True,
        "database": {"external": {"host": "db.example.org"}, "auth": {"password": "given"}},
    },
}
"""An installation in which every switch of a part does something."""

EXTERNAL: dict[str, dict[str, Any]] = {
    "postgres": {"external": {"host": "db.example.org"}, "auth": {"password": "given"}},
    "redis": {"external": {"host": "cache.example.org"}, "auth": {"password": "given"}},
    "mlflow": {"external": {"url": "http://mlflow.example.org"}},
    "prometheus": {"external": {"url": "http://prometheus.example.org"}},
}
"""What has to be said where a part is off."""


def switches(node: Any, path: tuple[str, ...] = ()) -> list[str]:
    """Every `enabled` that is true, as the dotted path of what it switches."""
    if not isinstance(node, dict):
        return []
    own = [".".join(path)] if node.get("enabled") is True else []
    return own + [found for key, value in node.items() for found in switches(value, (*path, key))]


@functools.cache
def everything() -> str:
    return without_credentials(render(SWITCHABLE))


def without_credentials(rendered: Render) -> str:
    """What is compared: credentials are new in each installation."""
    return repr([item for item in rendered.objects if item["kind"] != "Secret"])


@pytest.mark.parametrize("switch", switches(read_values(CHART / "values.yaml")))
def test_each_part_can_be_switched_off(switch):
    off: dict[str, Any] = {}
    node = off
    for name in switch.split("."):
        node = node.setdefault(name, {})
    node.update(EXTERNAL.get(switch, {}), enabled=False)

    rendered = render(merge(SWITCHABLE, off))

    assert without_credentials(rendered) != everything(), "the switch changes nothing"
    objects = rendered.objects
    for rule in (policy_objects.references, policy_objects.services, policy_objects.selectors, policy_objects.rights):
        assert rule(objects) == []
    if switch != "networkPolicy":
        for rule in (policy_network.twins, policy_network.listening, policy_network.credentials_reach):
            assert rule(objects) == []
