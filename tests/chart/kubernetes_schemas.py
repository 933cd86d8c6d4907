"""Kubernetes' own schemas, and those of custom resources, over rendered objects."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import jsonschema
import referencing
from chart_pods import Objects, pods
from kubernetes_validate import utils

CRDS = Path(__file__).parent / "crds"
OLDEST = (1, 30)


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])


VERSIONS = tuple(dict.fromkeys(version for version in utils.all_versions() if _number(version) >= OLDEST))
"""Kubernetes versions that the chart supports and there are schemas of, oldest first."""


def check(objects: Objects, version: str) -> list[str]:
    """What the schemas of this Kubernetes version say against the objects; unknown fields are refused."""
    problems = []
    for item in objects:
        name = f"{item['kind']}/{item['metadata']['name']}"
        custom = _custom(item["apiVersion"], item["kind"])
        if custom is None:
            problems += [f"{name}: {text}" for text in _validate(item, version)]
            continue
        problems += [f"{name}: {_text(error)}" for error in custom.iter_errors(item)]
        for pod in pods([item]):
            bare = {"apiVersion": "v1", "kind": "Pod", **pod.template}
            problems += [f"{name}: {text}" for text in _validate(bare, version)]
    return problems


def _validate(item: dict[str, Any], version: str) -> tuple[str, ...]:
    return _cached(json.dumps(item, sort_keys=True), item["apiVersion"], item["kind"], version)


@functools.cache
def _cached(text: str, api: str, kind: str, version: str) -> tuple[str, ...]:
    """Most objects are the same in most renderings."""
    validator = _validator(api, kind, version)
    if validator is None:
        return (f"Kubernetes {version} has no {api} {kind}",)
    return tuple(_text(error) for error in validator.iter_errors(json.loads(text)))


@functools.cache
def _validator(api: str, kind: str, version: str) -> jsonschema.Draft202012Validator | None:
    group, _, name = api.rpartition("/")
    stem = "-".join(part for part in (kind.lower(), group.split(".")[0], name) if part)
    try:
        schema = utils.schema_contents(f"{_folder(version)}/{stem}.json", version)
    except FileNotFoundError:
        return None
    return jsonschema.Draft202012Validator(schema, registry=_definitions(version))


@functools.cache
def _definitions(version: str) -> Any:
    """Megabytes: read once for each version."""
    contents = utils.schema_contents(f"{_folder(version)}/_definitions.json", version)
    return referencing.Resource.from_contents(contents) @ referencing.Registry()


def _folder(version: str) -> str:
    return f"kubernetes-json-schema/v{version}-local-strict"


@functools.cache
def _custom(api: str, kind: str) -> jsonschema.Draft7Validator | None:
    path = CRDS / f"{api.replace('/', '_')}_{kind}.json"
    return jsonschema.Draft7Validator(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None


def _text(error: jsonschema.ValidationError) -> str:
    return f"{'.'.join(map(str, error.absolute_path))}: {error.message[:300]}"
