"""What the chart gives Prometheus, Alertmanager and Grafana is what these programs take."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from helm_engine import Render, RenderError, render

from monitoring.rules.files import rule_groups
from monitoring.rules.parameters import Parameters, parameters_group

NAMESPACE = "mlops"


@pytest.fixture(scope="module")
def usual() -> Render:
    """The chart with its own values."""
    return render({})


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not there; Debian's packages prometheus and prometheus-alertmanager bring it")
    return found


def _write(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def _check(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _alertmanager(rendered: Render) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(rendered.one("Secret", "-alertmanager")["stringData"]["alertmanager.yml"])
    return config


EXTRAS = {
    "alertmanager": {
        "extraReceivers": [{"name": "people", "webhook_configs": [{"url": "http://example.org/hook"}]}],
        "extraRoutes": [{"matchers": ['severity="critical"'], "receiver": "people"}],
        "defaultReceiver": "people",
        "config": {"global": {"resolve_timeout": "10m"}},
    },
    "prometheus": {
        "externalLabels": {"cluster": "a"},
        "extraScrapeConfigs": [{"job_name": "other", "static_configs": [{"targets": ["other:1"]}]}],
        "rules": {"extraGroups": [{"name": "mine", "rules": [{"record": "a:b:c", "expr": "vector(1)"}]}]},
    },
}


@pytest.mark.parametrize("values", [{}, EXTRAS], ids=["usual", "extras"])
def test_prometheus_takes_its_configuration(values: dict[str, Any], tmp_path: Path) -> None:
    promtool = _program("promtool")
    files = render(values).one("ConfigMap", "-prometheus")["data"]
    folder = _write(tmp_path / "etc", files)
    _check(promtool, "check", "config", str(folder / "prometheus.yml"))
    rules = [name for name in files if name.startswith("rules-")]
    assert len(rules) == len(rule_groups()) + 1 + bool(values)


@pytest.mark.parametrize("values", [{}, EXTRAS, {"controller": {"enabled": False}}], ids=["usual", "extras", "no loop"])
def test_alertmanager_takes_its_configuration(values: dict[str, Any], tmp_path: Path) -> None:
    amtool = _program("amtool")
    config = _alertmanager(render(values))
    folder = _write(tmp_path / "etc", {"alertmanager.yml": yaml.safe_dump(config)})
    _check(amtool, "check-config", str(folder / "alertmanager.yml"))


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        (["alertname=PostingDrift", "severity=warning"], "plumbline-controller,people"),
        (["alertname=ModelQualityDrop", "severity=critical"], "plumbline-controller,people"),
        (["alertname=ServingDown", "severity=critical"], "people"),
        (["alertname=ServingShedding", "severity=warning"], "people"),
    ],
)
def test_alerts_go_where_they_should(labels: list[str], receivers: str, tmp_path: Path) -> None:
    amtool = _program("amtool")
    folder = _write(tmp_path / "etc", {"alertmanager.yml": yaml.safe_dump(_alertmanager(render(EXTRAS)))})
    # The default receiver takes what no route has taken; the controller's route alone lets alerts go on.
    command = [amtool, "config", "routes", "test", f"--config.file={folder / 'alertmanager.yml'}"]
    found = subprocess.run([*command, *labels], capture_output=True, text=True, check=True).stdout.strip()
    expected = receivers if "critical" in labels[1] or "Shedding" in labels[0] else "plumbline-controller"
    assert found == expected


def test_the_loop_hears_of_drift(usual: Render) -> None:
    config = _alertmanager(usual)
    receiver = next(each for each in config["receivers"] if each["name"] == "plumbline-controller")
    assert receiver["webhook_configs"][0]["url"].endswith("-controller:8090/webhook/alertmanager")


def test_the_loop_and_alertmanager_have_one_token(usual: Render) -> None:
    receiver = next(each for each in _alertmanager(usual)["receivers"] if each["name"] == "plumbline-controller")
    file = receiver["webhook_configs"][0]["http_config"]["authorization"]["credentials_file"]
    settings = yaml.safe_load(usual.one("ConfigMap", "-settings")["data"]["plumbline.yaml"])
    assert settings["controller"]["access"] == {"required": True, "token_file": file}
    [spoken_to] = settings["monitoring"]["receivers"]
    assert spoken_to["format"] == "alertmanager", "the monitors speak to Alertmanager"
    assert "token_file" not in spoken_to
    assert {_token_of(usual, name) for name in ("-controller", "-alertmanager")} == {
        (str(Path(file).parent), "pl-plumbline-controller-token", Path(file).name)
    }
    token = base64.b64decode(usual.one("Secret", "-controller-token")["data"]["token"]).decode()
    assert len(token) == 32


def test_without_an_alertmanager_the_monitors_show_the_token() -> None:
    rendered = render({"alertmanager": {"enabled": False}})
    monitoring = yaml.safe_load(rendered.one("ConfigMap", "-settings")["data"]["plumbline.yaml"])["monitoring"]
    [receiver] = monitoring["receivers"]
    assert receiver["url"].endswith("-controller:8090/webhook/alertmanager")
    folder, secret, name = _token_of(rendered, "-monitor", "CronJob")
    assert receiver["token_file"] == f"{folder}/{name}"
    assert secret == "pl-plumbline-controller-token"


def test_an_existing_token_is_taken() -> None:
    rendered = render({"controller": {"auth": {"existingSecret": "ours", "tokenKey": "hook"}}})
    assert not [each for each in rendered.of_kind("Secret") if each["metadata"]["name"].endswith("-controller-token")]
    assert {_token_of(rendered, name)[1:] for name in ("-controller", "-alertmanager")} == {("ours", "token")}


def test_the_loop_may_be_opened_to_all_on_its_network() -> None:
    rendered = render({"controller": {"auth": {"required": False}}})
    settings = yaml.safe_load(rendered.one("ConfigMap", "-settings")["data"]["plumbline.yaml"])
    assert settings["controller"]["access"] == {"required": False, "token_file": None}
    receiver = next(each for each in _alertmanager(rendered)["receivers"] if each["name"] == "plumbline-controller")
    assert "http_config" not in receiver["webhook_configs"][0]
    assert "controller-token" not in json.dumps(rendered.objects)


def _token_of(rendered: Render, name: str, kind: str = "Deployment") -> tuple[str, str, str]:
    """Where a pod's container has the controller's token, from which Secret, in which file."""
    spec = rendered.one(kind, name)["spec"]
    pod = (spec["jobTemplate"]["spec"] if kind == "CronJob" else spec)["template"]["spec"]
    (secret,) = [each["secret"] for each in pod["volumes"] if each["name"] == "controller-token"]
    (mount,) = [each for each in pod["containers"][0]["volumeMounts"] if each["name"] == "controller-token"]
    return mount["mountPath"], secret["secretName"], secret["items"][0]["path"]


def test_parameters_are_those_that_the_command_writes(usual: Render) -> None:
    written = parameters_group(Parameters(namespace=NAMESPACE)).to_dict()
    rendered = yaml.safe_load(usual.one("ConfigMap", "-prometheus")["data"]["rules-parameters.yaml"])
    assert rendered == {"groups": [written]}


def test_parameters_follow_the_values() -> None:
    rendered = render({"serving": {"enabled": False}, "prometheus": {"rules": {"latencyObjective": 0.95}}})
    group = yaml.safe_load(rendered.one("ConfigMap", "-prometheus")["data"]["rules-parameters.yaml"])["groups"][0]
    expected = Parameters(
        namespace=NAMESPACE, latency_objective=0.95, components=("controller", "exporter", "alertmanager")
    )
    assert group == parameters_group(expected).to_dict()
    assert "plumbline-serving" not in rendered.one("ConfigMap", "-prometheus")["data"]["prometheus.yml"]


def test_every_scraped_name_is_a_service_that_selects_pods(usual: Render) -> None:
    config = yaml.safe_load(usual.one("ConfigMap", "-prometheus")["data"]["prometheus.yml"])
    names = [job["dns_sd_configs"][0] for job in config["scrape_configs"] if "dns_sd_configs" in job]
    assert len(names) == 4
    for entry in names:
        service, namespace, _ = entry["names"][0].split(".")
        found = usual.one("Service", service)
        assert namespace == found["metadata"]["namespace"] == NAMESPACE
        assert found["spec"]["clusterIP"] == "None"
        assert found["spec"]["ports"][0]["port"] == entry["port"]


def test_a_changed_objective_rolls_prometheus(usual: Render) -> None:
    other = render({"prometheus": {"rules": {"latencyObjective": 0.98}}})

    def checksum(rendered: Render) -> str:
        template = rendered.one("Deployment", "-prometheus")["spec"]["template"]
        return str(template["metadata"]["annotations"]["checksum/config"])

    assert checksum(usual) != checksum(other)


def test_an_operators_prometheus_gets_the_same_rules(usual: Render) -> None:
    values = {
        "prometheus": {
            "enabled": False,
            "external": {"url": "http://prometheus.monitoring:9090"},
            "operator": {"enabled": True, "labels": {"release": "stack"}},
        }
    }
    rendered = render(values)
    rule = rendered.one("PrometheusRule", "-rules")
    monitor = rendered.one("ServiceMonitor", "-metrics")
    assert rule["metadata"]["labels"]["release"] == monitor["metadata"]["labels"]["release"] == "stack"
    files = usual.one("ConfigMap", "-prometheus")["data"]
    own = [group for name, text in files.items() if "rules-" in name for group in yaml.safe_load(text)["groups"]]
    assert {group["name"]: group for group in rule["spec"]["groups"]} == {group["name"]: group for group in own}
    assert not [each for each in rendered.of_kind("Deployment") if each["metadata"]["name"].endswith("-prometheus")]
    wanted = set(monitor["spec"]["selector"]["matchExpressions"][0]["values"])
    services = [each["metadata"]["labels"]["app.kubernetes.io/component"] for each in rendered.of_kind("Service")]
    assert wanted <= set(services)
    datasource = yaml.safe_load(rendered.one("ConfigMap", "-grafana")["data"]["datasources.yaml"])["datasources"][0]
    assert datasource["url"] == "http://prometheus.monitoring:9090"


def test_grafana_without_a_prometheus_is_refused() -> None:
    with pytest.raises(RenderError, match=r"prometheus\.external\.url"):
        render({"prometheus": {"enabled": False}})


def test_grafana_is_given_the_dashboards_and_no_open_door(usual: Render) -> None:
    container = usual.one("Deployment", "-grafana")["spec"]["template"]["spec"]["containers"][0]
    environment = {each["name"]: each for each in container["env"]}
    assert environment["GF_AUTH_ANONYMOUS_ENABLED"]["value"] == "false"
    assert "value" not in environment["GF_SECURITY_ADMIN_PASSWORD"]
    password = base64.b64decode(usual.one("Secret", "-grafana")["data"]["password"]).decode()
    assert len(password) == 32
    mounted = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    config = usual.one("ConfigMap", "-grafana")["data"]
    assert yaml.safe_load(config["providers.yaml"])["providers"][0]["options"]["path"] == mounted["dashboards"]
    dashboards = usual.one("ConfigMap", "-dashboards")["data"]
    assert {json.loads(text)["uid"] for text in dashboards.values()} == {
        name.removesuffix(".json") for name in dashboards
    }


def test_another_grafana_finds_the_dashboards() -> None:
    rendered = render({"grafana": {"enabled": False, "sidecar": {"enabled": True, "annotations": {"folder": "P"}}}})
    found = rendered.one("ConfigMap", "-dashboards")["metadata"]
    assert found["labels"]["grafana_dashboard"] == "1"
    assert found["annotations"] == {"folder": "P"}
    assert not [each for each in rendered.of_kind("Deployment") if each["metadata"]["name"].endswith("-grafana")]


def test_everything_off_leaves_nothing() -> None:
    rendered = render({name: {"enabled": False} for name in ("prometheus", "alertmanager", "grafana")})
    names = [each["metadata"]["name"] for each in rendered.objects]
    assert not [name for name in names if name.endswith(("-prometheus", "-alertmanager", "-grafana", "-metrics"))]
