"""Upgrades: credentials stay, nothing changes that Kubernetes holds fast, and pods roll when their settings do."""

from __future__ import annotations

import copy
import difflib
from typing import Any

import golden
import pytest
from chart_matrix import EVERY, PROFILES, rendered, values_of
from chart_pods import pods
from helm_engine import FakeCluster, Helm, Render, merge, render
from policy_upgrade import immutable

SAME_NAMES = tuple(name for name in EVERY if "fullnameOverride" not in values_of(name))
KEPT = sorted(golden.FOLDER.glob("*/*.yaml"))


@pytest.fixture
def cluster():
    cluster = FakeCluster(operators=("prometheus-operator",))
    yield cluster
    cluster.close()


def secrets(render: Render) -> dict[str, Any]:
    return {item["metadata"]["name"]: item.get("data") for item in render.of_kind("Secret")}


def checksums(render: Render, component: str) -> set[str]:
    return {
        str(sorted((pod.template["metadata"].get("annotations") or {}).items()))
        for pod in pods(render.objects)
        if pod.component == component
    }


def test_generated_credentials_stay_and_the_way_back_leads_to_the_same_objects(cluster):
    helm = Helm(cluster)
    first = helm.install({})
    assert any(secrets(first).values())

    second = helm.upgrade({"serving": {"replicas": 2, "modelAlias": "challenger"}})

    assert secrets(second) == secrets(first)
    assert immutable(first.objects, second.objects) == []
    back = helm.upgrade({"serving": {"replicas": 1, "modelAlias": "champion"}})
    assert golden.write(back) == golden.write(first)


def test_two_installations_do_not_share_credentials():
    assert secrets(render({})) != secrets(rendered("default"))


def test_a_given_password_replaces_a_generated_one(cluster):
    helm = Helm(cluster)
    helm.install({})
    given = helm.upgrade({"mlflow": {"auth": {"password": "given-by-the-user"}}})
    assert "Z2l2ZW4tYnktdGhlLXVzZXI=" in secrets(given)["pl-plumbline-mlflow"].values()


@pytest.mark.parametrize(
    ("settings", "rolled"),
    [
        ({"serving": {"latency_budget_ms": 41}}, {"serving"}),
        ({"features": {"grid_hours": 12}}, {"serving"}),
        ({"model": {"threads": 2}}, {"serving", "controller"}),
        ({"pipelines": {"keep_runs": 2}}, {"controller"}),
        ({"controller": {"max_attempts": 3}}, {"controller"}),
        ({"monitoring": {"reports_kept": 20}}, {"exporter", "evidently"}),
        ({"tracking": {"timeout_seconds": 9}}, {"serving", "controller", "exporter"}),
        ({"store": {"attempts": 5}}, {"serving", "controller", "exporter", "evidently"}),
        ({"data": {"max_bad_share": 0.2}}, set()),
    ],
    ids=lambda value: next(iter(value), "none") if isinstance(value, dict) else "",
)
def test_the_pods_roll_that_read_a_changed_setting_and_no_others(settings, rolled):
    before, after = rendered("default"), render({"settings": settings})
    components = {"serving", "controller", "exporter", "evidently"}
    assert all(checksums(before, component) for component in components)
    changed = {each for each in components if checksums(after, each) != checksums(before, each)}
    assert changed == rolled


def test_pods_do_not_roll_when_nothing_of_theirs_changes():
    changed = render({"serving": {"replicas": 3}})
    assert checksums(changed, "serving") == checksums(rendered("default"), "serving")


@pytest.mark.parametrize("name", [name for name in SAME_NAMES if name != "lite"])
@pytest.mark.parametrize("start", ["default", "lite"])
def test_every_installation_can_become_another(start, name):
    assert immutable(rendered(start).objects, rendered(name).objects) == []


@pytest.mark.parametrize("name", PROFILES)
def test_profile_is_rendered_as_it_was_when_last_looked_at(name):
    path = golden.FOLDER / golden.chart_version() / f"{name}.yaml"
    assert path.is_file(), "run 'make chart-golden', and look at what it writes"
    kept, present = path.read_text(encoding="utf-8"), golden.write(golden.profile(name))
    lines = difflib.unified_diff(kept.splitlines(), present.splitlines(), "kept", "rendered", lineterm="", n=2)
    assert kept == present, "run 'make chart-golden' if this is meant:\n" + "\n".join([*lines][:200])


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_what_users_have_installed_can_be_upgraded(path):
    assert immutable(golden.read(path), golden.profile(path.stem).objects) == []


@pytest.mark.parametrize(
    ("kind", "change", "complaint"),
    [
        ("Deployment", lambda o: o["spec"]["selector"]["matchLabels"].update(a="b"), "spec.selector would change"),
        ("StatefulSet", lambda o: o["spec"].update(serviceName="x"), "spec.serviceName would change"),
        ("Job", lambda o: o["spec"]["template"]["spec"].update(nodeSelector={"a": "b"}), "spec.template would change"),
        ("PersistentVolumeClaim", lambda o: o["spec"]["resources"]["requests"].update(storage="1Mi"), "would shrink"),
        ("Secret", lambda o: o.update(data={}, stringData={}), "would lose"),
        ("RoleBinding", lambda o: o["roleRef"].update(name="x"), "roleRef would change"),
    ],
)
def test_what_kubernetes_refuses_is_seen(kind, change, complaint):
    after = copy.deepcopy(rendered("default").resources)
    change(next(item for item in after if item["kind"] == kind))
    assert any(complaint in problem for problem in immutable(rendered("default").objects, after))


def test_data_that_would_go_are_seen():
    before = copy.deepcopy(rendered("default").resources)
    for item in before:
        item["metadata"].pop("annotations", None)
    assert any("with its data" in problem for problem in immutable(before, []))


def test_a_job_whose_work_changes_gets_another_name():
    changed = render(merge(values_of("default"), {"bootstrap": {"generator": {"rows": 7000, "weeks": 20, "seed": 7}}}))
    assert immutable(rendered("default").objects, changed.objects) == []
