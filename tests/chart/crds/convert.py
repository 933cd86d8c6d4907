"""Makes a JSON Schema of a published CustomResourceDefinition: one JSON file per kind, strict about unknown fields.

    python tests/chart/crds/convert.py CRD.yaml ...

Descriptions are left out, and pod templates: Kubernetes' own schema, in the version at hand, checks those.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
_KEPT = frozenset(
    {"type", "enum", "required", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "pattern",
     "minProperties", "maxProperties", "uniqueItems"}
)  # fmt: skip


def convert(definition: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """File name and schema of the stored version."""
    spec = definition["spec"]
    version = next(item for item in spec["versions"] if item["storage"])
    schema = _strict(version["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {"type": "object"}
    schema["properties"].pop("status", None)
    return f"{spec['group']}_{version['name']}_{spec['names']['kind']}.json", schema


def _strict(node: dict[str, Any]) -> dict[str, Any]:
    if {"containers", "initContainers"} <= node.get("properties", {}).keys():
        return {"type": "object"}
    if node.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    result = {key: value for key, value in node.items() if key in _KEPT}
    if node.get("nullable") and isinstance(result.get("type"), str):
        result["type"] = [result["type"], "null"]
    for key in ("oneOf", "anyOf", "allOf"):
        if key in node:  # such parts say only which fields must be there
            result[key] = [{"required": part["required"]} for part in node[key] if "required" in part] or [{}]
    if "properties" in node:
        result["properties"] = {name: _strict(body) for name, body in node["properties"].items()}
        if not node.get("x-kubernetes-preserve-unknown-fields"):
            result["additionalProperties"] = False
    if isinstance(node.get("additionalProperties"), dict):
        result["additionalProperties"] = _strict(node["additionalProperties"])
    if "items" in node:
        result["items"] = _strict(node["items"])
    return result


def main(paths: list[str]) -> None:
    """Converts each file."""
    for path in paths:
        name, schema = convert(yaml.safe_load(Path(path).read_text(encoding="utf-8")))
        (HERE / name).write_text(json.dumps(schema, separators=(",", ":"), sort_keys=True) + "\n", encoding="utf-8")
        sys.stdout.write(f"wrote {name}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
