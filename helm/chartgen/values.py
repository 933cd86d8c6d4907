"""values.yaml with its comments: `# --` before a key describes it, for the schema and the README's table."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_MARK = "# --"


@dataclass
class Values:
    """The chart's values.

    Attributes:
        tree: The values themselves.
        descriptions: Dotted path -> text of the comment.
        rows: Path, default as text, description: of every value that a user may set, in the file's order.
    """

    tree: dict[str, Any]
    descriptions: dict[str, str] = field(default_factory=dict)
    rows: list[tuple[str, str, str]] = field(default_factory=list)


def read_values(path: Path) -> Values:
    """Reads a values file."""
    text = path.read_text(encoding="utf-8")
    values = Values(yaml.safe_load(text))
    _walk(yaml.compose(text), "", text.splitlines(), values)
    return values


def _walk(node: Any, prefix: str, lines: list[str], values: Values) -> None:
    for key, value in node.value:
        path = f"{prefix}{key.value}"
        description = "" if node.flow_style else _comment(lines, key.start_mark.line)
        if description:
            values.descriptions[path] = description
        nested = isinstance(value, yaml.MappingNode) and value.value and not value.flow_style
        if description or not nested:
            values.rows.append((path, "" if nested else _default(values.tree, path), description))
        if isinstance(value, yaml.MappingNode) and value.value:
            if value.flow_style:
                continue
            _walk(value, f"{path}.", lines, values)


def _comment(lines: list[str], line: int) -> str:
    """The comment that ends right above a line, from its `# --` on."""
    words: list[str] = []
    for number in range(line - 1, -1, -1):
        text = lines[number].strip()
        if not text.startswith("#"):
            return ""
        if text.startswith(_MARK) and not text.startswith("# ---"):
            return " ".join([text.removeprefix(_MARK).strip(), *words])
        words.insert(0, text.removeprefix("#").strip())
    return ""


def _default(tree: dict[str, Any], path: str) -> str:
    node: Any = tree
    for name in path.split("."):
        node = node[name]
    return json.dumps(node, ensure_ascii=False)
