"""values.schema.json from the fragments in helm/schema and the settings model.

A fragment `<name>.yaml` is the schema of the value of that name, `_top.yaml` holds the schemas of the values that are
no component, `_definitions.yaml` what they share. Written in draft 2020-12, where `$ref` may have neighbours; what is
generated is draft 07, which Helm's validators of every age understand.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml

from chartgen.paths import FRAGMENTS, ChartError
from chartgen.values import Values

DIALECT = "http://json-schema.org/draft-07/schema#"
_SETTINGS_DEF = "settings."
_PREFIX = "#/$defs/"
_OPTIONAL = "x-optional"
"""Mark of a fragment's property that needs no default in values.yaml; it is left out of what is generated."""
_NAMED = ("properties", "$defs", "patternProperties")
"""Keywords whose content is names with schemas."""


def build_schema(values: Values, *, draft: bool = False) -> dict[str, Any]:
    """The whole schema.

    Args:
        values: The chart's values.yaml, whose comments become descriptions.
        draft: Let pass whatever has no schema yet, while a component is being written.

    Raises:
        ChartError: A value has no schema, a schema's property has no value, or a reference leads nowhere.
    """
    definitions = _read("_definitions")
    properties = _read("_top")
    for path in sorted(FRAGMENTS.glob("*.yaml")):
        if not path.stem.startswith("_"):
            properties[path.stem] = _read(path.stem)
    settings, settings_definitions = settings_schema()
    properties["settings"] = settings
    schema = {"type": "object", "additionalProperties": False, "properties": properties}
    everything = definitions | settings_definitions
    _check_references(schema, everything)
    _check_references(definitions, everything)
    if draft:
        properties.update({name: {} for name in values.tree if name not in properties})
    else:
        compare(values.tree, schema, everything)
    _describe(schema, values)
    return {"$schema": DIALECT, "title": "Values of the chart plumbline", **_draft07(schema)} | {
        "$defs": {name: _draft07(everything[name]) for name in sorted(_used(schema, everything))}
    }


def to_json(schema: Mapping[str, Any]) -> str:
    """The file's text."""
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def settings_schema() -> tuple[dict[str, Any], dict[str, Any]]:
    """Schema of `settings`: the settings model, every part of it optional, and without what is secret."""
    from plumbline.settings import Settings

    model = _partial(Settings.model_json_schema())
    definitions = {f"{_SETTINGS_DEF}{name}": body for name, body in model.pop("$defs").items()}
    model.pop("description", None)
    return model, definitions


def _partial(node: Any) -> Any:
    if isinstance(node, list):
        return [_partial(item) for item in node]
    if not isinstance(node, dict):
        return node
    result = {}
    for key, value in node.items():
        if key in ("title", "default", "required", "format"):
            continue
        if key in _NAMED:
            result[key] = {name: _partial(body) for name, body in value.items() if not _secret(body)}
        elif key == "$ref":
            result[key] = value.replace(_PREFIX, f"{_PREFIX}{_SETTINGS_DEF}")
        elif key == "description":
            result[key] = " ".join(value.split())
        else:
            result[key] = _partial(value)
    return result


def _secret(body: Mapping[str, Any]) -> bool:
    return bool(body.get("writeOnly")) or any(part.get("writeOnly") for part in body.get("anyOf", []))


def _read(name: str) -> dict[str, Any]:
    path = FRAGMENTS / f"{name}.yaml"
    if not path.is_file():
        return {}
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ChartError(f"helm/schema/{path.name} must be a mapping.")
    result: dict[str, Any] = json.loads(json.dumps(content))  # YAML's anchors share what is described one by one later
    return result


def _check_references(node: Any, definitions: Mapping[str, Any]) -> None:
    if isinstance(node, list):
        for item in node:
            _check_references(item, definitions)
    elif isinstance(node, Mapping):
        target = node.get("$ref")
        if isinstance(target, str) and target.removeprefix(_PREFIX) not in definitions:
            raise ChartError(
                f"{target} is used in helm/schema but not defined: add it to helm/schema/_definitions.yaml."
            )
        for item in node.values():
            _check_references(item, definitions)


def compare(tree: Mapping[str, Any], schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> None:
    """Holds values and schema together.

    Raises:
        ChartError: A value has no schema, or a property that a fragment names itself has no value. What a shared
            definition offers beyond the defaults needs none.
    """
    problems = sorted(_differences(tree, schema, definitions, path="", shared=False))
    if problems:
        raise ChartError("\n".join(problems))


def _differences(
    tree: Mapping[str, Any], schema: Mapping[str, Any], definitions: Mapping[str, Any], path: str, shared: bool
) -> list[str]:
    problems = []
    while "$ref" in schema:
        schema, shared = definitions[schema["$ref"].removeprefix(_PREFIX)], True
    properties = schema.get("properties", {})
    closed = schema.get("additionalProperties") is False
    for name, value in tree.items():
        where = f"{path}{name}"
        if name in properties:
            if isinstance(value, Mapping):
                problems += _differences(value, properties[name], definitions, f"{where}.", shared)
        elif closed or not path:
            problems.append(
                f"The value {where} has no schema: describe it in helm/schema/{where.partition('.')[0]}.yaml."
            )
    if not shared and tree:  # {} stands for "nothing said": all of it is optional
        problems += [
            f"The schema has {path}{name}, but values.yaml does not: give it a default there, or say {_OPTIONAL}: true."
            for name, body in properties.items()
            if name not in tree and not body.get(_OPTIONAL) and not path.startswith("settings.")
        ]
    return problems


def _describe(schema: dict[str, Any], values: Values) -> None:
    """Comments of values.yaml become descriptions, which editors show."""
    for path, text in values.descriptions.items():
        node: Any = schema
        for name in path.split("."):
            node = node.get("properties", {}).get(name) if isinstance(node, dict) else None
        if isinstance(node, dict):
            node["description"] = text


def _draft07(node: Any) -> Any:
    """`$ref` hides its neighbours there: they go into an allOf."""
    if isinstance(node, list):
        return [_draft07(item) for item in node]
    if not isinstance(node, dict):
        return node
    result = {
        key: {name: _draft07(body) for name, body in value.items()} if key in _NAMED else _draft07(value)
        for key, value in node.items()
        if key != _OPTIONAL
    }
    rest = {key: value for key, value in result.items() if key not in ("$ref", "description")}
    if "$ref" in result and isinstance(result["$ref"], str) and len(result) > 1:
        parts = [{"$ref": result["$ref"]}, *([rest] if rest else [])]
        description = {"description": result["description"]} if "description" in result else {}
        return description | {"allOf": parts}
    return result


def _used(node: Any, definitions: Mapping[str, Any]) -> set[str]:
    """Names of the definitions that a schema refers to, and that those refer to."""
    found: set[str] = set()
    todo = [node]
    while todo:
        item = todo.pop()
        if isinstance(item, Mapping):
            target = item.get("$ref")
            if isinstance(target, str) and (name := target.removeprefix(_PREFIX)) not in found:
                found.add(name)
                todo.append(definitions[name])
            todo += item.values()
        elif isinstance(item, list):
            todo += item
    return found
