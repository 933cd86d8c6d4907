"""Rows of objects that lie inside each other (JSON, Parquet), read by dotted paths such as `employer.name`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

HEAD_ROWS = 1_000
"""Rows in which the paths of a file are looked for."""


class NotText(str):
    """The source text of an object, or of a list of them, where a row has no text. A field cannot be read from it.

    Attributes:
        part: The first of its parts.
    """

    part: str


class NestedRow(Mapping[str, str | None]):
    """Text by dotted path; iterates over the outermost names.

    A part of a path that is a number picks an element of a list. Without one, every element is taken; texts of a list
    are joined, one a line. A name that has dots itself is found, too.
    """

    __slots__ = ("_content",)

    def __init__(self, content: dict[str, Any]) -> None:
        self._content = content

    def __getitem__(self, path: str) -> str | None:
        """Text at a path; None where nothing is there."""
        content = self._content
        return as_text(content[path] if path in content else _find(content, path))

    def __iter__(self) -> Iterator[str]:
        return iter(self._content)

    def __len__(self) -> int:
        return len(self._content)

    def paths(self) -> Iterator[str]:
        """Every path of the row, outer ones first; elements of a list share theirs."""
        return _paths(self._content, "")


def as_text(value: Any) -> str | None:
    """Text of a value: lists of texts one a line, objects as `NotText`."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float) and value != value:  # noqa: PLR0124 - the test for NaN without a library
        return None
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list):
        texts = [as_text(each) for each in value if not isinstance(each, dict | list)]
        if len(texts) == len(value):
            return "\n".join(text for text in texts if text) or None
    if isinstance(value, dict | list):
        source = NotText(json.dumps(value, ensure_ascii=False, default=str))
        source.part = next(_paths(value, ""), "0")
        return source
    return json.dumps(value, ensure_ascii=False, default=str).strip('"')


def is_deeper(value: Any, limit: int) -> bool:
    """Whether more than so many objects and lists lie inside each other."""
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return False
    return limit == 0 or any(is_deeper(each, limit - 1) for each in value if isinstance(each, dict | list))


def _find(value: Any, path: str) -> Any:
    head, dot, rest = path.partition(".")
    if isinstance(value, list):
        if head.isdecimal():
            element = value[int(head)] if int(head) < len(value) else None
            return _find(element, rest) if dot else element
        found = [each for element in value if (each := _find(element, path)) is not None]
        return [text for each in found for text in (each if isinstance(each, list) else [each])] or None
    if not isinstance(value, dict):
        return None
    if path in value:
        return value[path]
    while dot:
        if head in value and (found := _find(value[head], rest)) is not None:
            return found
        more, dot, rest = rest.partition(".")
        head = f"{head}.{more}"
    return None


def _paths(value: Any, prefix: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield f"{prefix}{name}"
            yield from _paths(inner, f"{prefix}{name}.")
    elif isinstance(value, list):
        for element in value:
            yield from _paths(element, prefix)
