"""What is generated is current, and the generators refuse what does not fit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from helm_engine import CHART, FakeCluster, Helm

HELM = CHART.parent
sys.path.insert(0, str(HELM))

from chartgen import network, schema  # noqa: E402 - helm/ holds tools, and is no package of the platform
from chartgen.paths import ChartError  # noqa: E402
from chartgen.values import read_values  # noqa: E402


def test_everything_generated_is_current():
    check = [sys.executable, str(HELM / "generate.py"), "--check"]
    done = subprocess.run(check, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_helms_own_lint_has_nothing_to_say():
    cluster = FakeCluster()
    try:
        assert [message for message in Helm(cluster).lint() if message[0] >= 2] == []
    finally:
        cluster.close()


def test_schema_is_strict_at_every_level():
    built = schema.build_schema(read_values(CHART / "values.yaml"))
    loose = [
        name
        for name in built["properties"]
        if built["properties"][name].get("type") == "object"
        and built["properties"][name].get("properties")
        and built["properties"][name].get("additionalProperties") is not False
    ]
    assert loose == []
    jsonschema.Draft7Validator.check_schema(built)


def test_a_value_without_schema_is_named():
    with pytest.raises(ChartError, match=r"The value serving\.speed has no schema"):
        schema.compare(
            {"serving": {"speed": 1}},
            {"properties": {"serving": {"properties": {}, "additionalProperties": False}}},
            {},
        )


def test_a_property_without_value_is_named():
    body = {"properties": {"serving": {"properties": {"speed": {}, "size": {}}, "additionalProperties": False}}}
    with pytest.raises(ChartError, match=r"The schema has serving\.speed, but values.yaml does not"):
        schema.compare({"serving": {"size": 1}}, body, {})


def test_what_is_shared_or_optional_needs_no_value():
    body = {
        "properties": {
            "service": {"$ref": "#/$defs/service"},
            "steps": {"properties": {"one": {}, "two": {"x-optional": True}}},
        }
    }
    shared = {"service": {"properties": {"port": {}, "nodePort": {}}, "additionalProperties": False}}
    schema.compare({"service": {"port": 1}, "steps": {"one": 1}}, body, shared)


def test_settings_are_partial_strict_and_without_secrets():
    model, definitions = schema.settings_schema()
    assert "required" not in model
    assert model["additionalProperties"] is False
    store = definitions["settings.StoreSettings"]
    assert "bucket" in store["properties"]
    assert "secret_access_key" not in store["properties"]


def test_comments_become_descriptions(tmp_path: Path):
    path = tmp_path / "values.yaml"
    path.write_text("# -- How many,\n# and no more.\nreplicas: 1\nother: {a: 1}\n", encoding="utf-8")
    values = read_values(path)
    assert values.descriptions == {"replicas": "How many, and no more."}
    assert values.rows == [("replicas", "1", "How many, and no more."), ("other", '{"a": 1}', "")]


@pytest.mark.parametrize(
    ("edge", "complaint"),
    [
        ("{from: a, to: b, port: http, why: x}, {from: a, to: b, port: http, why: y}", "there twice"),
        ("{from: a, to: c, port: http, why: x}", "c is no component"),
        ("{from: c, to: b, port: http, why: x}", "c is no component"),
        ("{from: a, to: b, port: https, why: x}", "b has no port https"),
    ],
)
def test_edges_that_lead_nowhere_are_refused(tmp_path: Path, monkeypatch, edge, complaint):
    path = tmp_path / "edges.yaml"
    path.write_text(f"components: {{a: {{}}, b: {{ports: {{http: b.port}}}}}}\nedges: [{edge}]\n", encoding="utf-8")
    monkeypatch.setattr(network, "EDGES", path)
    with pytest.raises(ChartError, match=complaint):
        network.read_edges()


def test_every_component_of_the_table_is_one_of_the_chart():
    components, _ = network.read_edges()
    texts = "\n".join(path.read_text(encoding="utf-8") for path in (CHART / "templates").rglob("*.*"))
    unknown = [name for name in components if f'"{name}"' not in texts and f"component: {name}" not in texts]
    assert unknown == []
