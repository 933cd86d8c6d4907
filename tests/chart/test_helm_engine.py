"""The engine behind the chart's tests, with a chart of a few lines."""

from __future__ import annotations

from pathlib import Path

import pytest
from helm_engine import FakeCluster, Helm, RenderError, merge, render

TEMPLATE = """
{{- $old := lookup "v1" "Secret" .Release.Namespace "kept" }}
apiVersion: v1
kind: Secret
metadata:
  name: kept
  namespace: {{ .Release.Namespace }}
stringData:
  value: {{ ternary "found" "new" (not (empty $old)) }}
  version: {{ .Capabilities.KubeVersion.Minor | quote }}
  operator: {{ .Capabilities.APIVersions.Has "monitoring.coreos.com/v1" | quote }}
  size: {{ .Values.size | quote }}
---
apiVersion: batch/v1
kind: Job
metadata:
  name: before
  namespace: {{ .Release.Namespace }}
  annotations: {helm.sh/hook: "pre-install,pre-upgrade", helm.sh/hook-delete-policy: before-hook-creation}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: b}]}}}
"""


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: small\nversion: 1.0.0\n", encoding="utf-8")
    (tmp_path / "values.yaml").write_text("size: 1\n", encoding="utf-8")
    schema = '{"type": "object", "properties": {"size": {"type": "integer"}}, "additionalProperties": false}'
    (tmp_path / "values.schema.json").write_text(schema, encoding="utf-8")
    (tmp_path / "templates" / "all.yaml").write_text(TEMPLATE, encoding="utf-8")
    (tmp_path / "templates" / "NOTES.txt").write_text("Size {{ .Values.size }}.", encoding="utf-8")
    return tmp_path


def test_resources_hooks_and_notes_are_told_apart(chart):
    rendered = render({"size": 2}, chart=chart)
    assert [item["kind"] for item in rendered.resources] == ["Secret"]
    assert [item["kind"] for item in rendered.hooks] == ["Job"]
    assert rendered.notes == "Size 2."


def test_an_upgrade_finds_what_the_installation_made(chart):
    cluster = FakeCluster()
    try:
        helm = Helm(cluster, chart=chart)
        assert helm.install().one("Secret", "kept")["stringData"]["value"] == "new"
        assert helm.upgrade({"size": 3}).one("Secret", "kept")["stringData"]["value"] == "found"
    finally:
        cluster.close()


def test_the_cluster_has_the_version_and_the_kinds_that_it_is_given(chart):
    bare = render(chart=chart, version="1.30", operators=()).one("Secret", "kept")["stringData"]
    full = render(chart=chart, version="1.36", operators=("prometheus-operator",)).one("Secret", "kept")["stringData"]
    assert (bare["version"], bare["operator"]) == ("30", "false")
    assert (full["version"], full["operator"]) == ("36", "true")


def test_wrong_values_are_refused_in_helms_words(chart):
    with pytest.raises(RenderError, match="at '/size': got string, want integer"):
        render({"size": "big"}, chart=chart)


def test_values_files_are_laid_over_each_other():
    assert merge({"a": {"b": 1, "c": [1]}}, {"a": {"c": [2]}, "d": 3}) == {"a": {"b": 1, "c": [2]}, "d": 3}
