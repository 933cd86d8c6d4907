"""What pydantic finds wrong with a file, in the file's own words: its keys and values, never our classes."""

from __future__ import annotations

import datetime
import difflib
import json
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

Fault = Mapping[str, Any]
"""One of `ValidationError.errors()`."""


def explain(error: ValidationError, root: type[BaseModel] | None = None) -> str:
    """One sentence on the first thing that is wrong.

    Args:
        error: What pydantic found.
        root: Class of the whole; None: of a library, whose keys are not looked up.
    """
    fault = first(error)
    keys = keys_of(fault, root)
    where = ".".join(keys)
    if fault["type"] == "extra_forbidden":
        return f"the key {where} does not exist.{_hint(keys[-1], _siblings(fault, root))}"
    if fault["type"] == "missing":
        return f"the key {where} is missing."
    if not keys:
        return f"{wanted(fault)}."
    return f"{where} has a wrong value{shown(fault.get('input'))}: {wanted(fault)}."


def first(error: ValidationError) -> Fault:
    """The fault to tell. A misspelt key is also a missing one; its spelling is what the reader wants to know."""
    return min(error.errors(include_url=False), key=lambda fault: fault["type"] != "extra_forbidden")


def reason(error: Exception) -> str:
    """Why content of ours, or a library's, cannot be used; to stand in brackets."""
    if isinstance(error, ValidationError):
        return explain(error).removesuffix(".")
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def wanted(fault: Fault) -> str:
    """What stands in the place of `it` in the right file, as the end of a sentence."""
    kind, said = str(fault["type"]), str(fault["msg"])
    if kind in ("value_error", "assertion_error"):
        return re.sub(r"^(Value error|Assertion failed), ", "", said)
    if kind.startswith("union_tag_"):
        context = fault.get("ctx", {})
        key = context.get("discriminator", "kind").strip("'")
        if "expected_tags" not in context:
            return f"its {key} should be given"
        given = fault["input"].get(key) if isinstance(fault.get("input"), Mapping) else None
        return f"its {key}{shown(given)} should be one of {context['expected_tags']}"
    for kinds, sentence in _WANTED.items():
        if re.fullmatch(kinds, kind):
            return sentence
    return re.sub(r"^\w+(?= should| is )", "it", said).replace(" after validation", "")


_WANTED = {
    "(model|model_attributes|dataclass|dict|mapping)_type": "it should be a mapping of keys to values",
    "(list|tuple|set|frozen_set|iterable)_type": "it should be a list",
    "string_type": "it should be text",
    "int_(type|parsing|from_float)": "it should be a whole number",
    "float_(type|parsing)": "it should be a number",
    "bool_(type|parsing)": "it should be true or false",
    "timezone_aware|datetime_(type|parsing|from_date_parsing|object_invalid)": (
        "it should be a time with its zone, such as 2026-01-01T10:00:00Z"
    ),
    "path_type": "it should be a path",
    "invalid_key": "its name should be text",
    "missing": "it is missing",
    "extra_forbidden": "there is no such key",
}
"""By pydantic's type of the fault, where its own words speak of Python; the others begin with what they are about."""


def shown(value: object) -> str:
    """A single value in brackets, as the file has it; nothing of a group."""
    if isinstance(value, str):
        return f" ({value!r})"
    if value is None or isinstance(value, bool | int | float):
        return f" ({json.dumps(value)})"
    return f" ({value})" if isinstance(value, datetime.date) else ""


def keys_of(fault: Fault, root: type[BaseModel] | None) -> tuple[str, ...]:
    """Where the fault is, by the keys that lead there. Pydantic's path also says which alternative it tried."""
    return tuple(str(part) for part, _ in _walk(fault, root))


def _walk(fault: Fault, root: type[BaseModel] | None) -> Iterator[tuple[str | int, list[Any]]]:
    """Each key with what may stand around it."""
    around: list[Any] = [] if root is None else [root]
    for part in fault["loc"]:
        if len(around) > 1:
            around = [each for each in around if _is_tried(each, part)]
        elif part != "[key]":
            yield part, around
            around = [inner for each in around for inner in _inside(each, part)]


def _is_tried(alternative: Any, tag: str | int) -> bool:
    """Whether pydantic means this alternative of several: by the value of a key that tells them apart, or the class."""
    fields = getattr(alternative, "model_fields", {}).values()
    return getattr(alternative, "__name__", "") == tag or any(tag in get_args(field.annotation) for field in fields)


def _inside(outer: Any, key: str | int) -> list[Any]:
    if isinstance(outer, type) and issubclass(outer, BaseModel):
        fields = (field for name, field in outer.model_fields.items() if key in (name, field.alias))
        return [inner for field in fields for inner in _alternatives(field.annotation)]
    arguments = [each for each in get_args(outer) if each is not ...]
    return _alternatives(arguments[-1]) if arguments else []


def _alternatives(annotation: Any) -> list[Any]:
    """What an annotation stands for, without None, which pydantic's paths do not name."""
    if get_origin(annotation) is Annotated:
        return _alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [each for inner in get_args(annotation) for each in _alternatives(inner)]
    return [] if annotation is type(None) else [annotation]


def _siblings(fault: Fault, root: type[BaseModel] | None) -> list[str]:
    around = [around for _, around in _walk(fault, root)][-1]
    return [field.alias or name for each in around for name, field in getattr(each, "model_fields", {}).items()]


def _hint(name: str, known: Sequence[str]) -> str:
    if near := difflib.get_close_matches(name, known, n=1, cutoff=0.4):
        return f" Did you mean {near[0]}?"
    return f" Valid keys: {', '.join(known)}." if known else ""
