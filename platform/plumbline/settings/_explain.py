"""Says which setting is wrong by the name its writer gave it: variable, key of the file, or `--set`."""

from __future__ import annotations

import contextlib
import difflib
import json
import os
import re
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from plumbline.faults import first, keys_of, shown, wanted

PREFIX = "PLUMBLINE_"
SET = "--set"
Keys = tuple[str, ...]


@dataclass(frozen=True)
class Source:
    """One place where settings are written: `--set`, an environment variable, or the YAML file."""

    name: str
    content: Mapping[str, Any]


def explain(error: ValidationError, root: type[BaseModel], sources: Sequence[Source]) -> str:
    """One sentence on the first thing that is wrong.

    Args:
        error: What pydantic found.
        root: Class of all settings.
        sources: Where they were written, the one that wins first.
    """
    fault = first(error)
    keys = keys_of(fault, root)
    variable = variable_of(keys)
    writers = _writers(keys, sources)
    if variable in (name.upper() for name in writers):
        subject, spell = f"The environment variable {variable}", variable_of
    elif writers[:1] == [SET]:
        subject, spell = f"{SET} {_path(keys)}", _path
    else:
        subject, spell = f"{', '.join(writers) or 'The settings'}: {_path(keys)}", _path
    if fault["type"] == "extra_forbidden":
        near = _nearest(keys, list(setting_paths(root)))
        hint = "" if near is None else f" Did you mean {spell(near)}?"
        return f"{subject} is not a setting of Plumbline.{hint}"
    if fault["type"] == "missing":
        return f"{subject} is missing."
    return f"{subject} has a wrong value{_shown(keys, fault.get('input'))}: {wanted(fault)}."


def variables(names: Iterable[str]) -> list[Source]:
    """A source for each environment variable that sets something; a value that is JSON counts as what it holds."""
    found = []
    for name in names:
        if name.upper().startswith(PREFIX):
            content: Any = os.environ[name]
            with contextlib.suppress(ValueError):
                content = json.loads(content)
            for key in reversed(_keys_of(name)):
                content = {key: content}
            found.append(Source(name, content))
    return found


def _writers(keys: Keys, sources: Sequence[Source]) -> list[str]:
    """Who has written a value, or else the group that lacks it: of a single value who wins, of a group all."""
    for length in range(len(keys), 0, -1):
        held = [
            (source.name, value)
            for source in sources
            if (value := _value(source.content, keys[:length])) is not _NOTHING
        ]
        if held:
            return [name for name, _ in held] if isinstance(held[0][1], Mapping) else [held[0][0]]
    return []


def _nearest(keys: Keys, paths: Sequence[Keys]) -> Keys | None:
    """The setting beside it whose name is most alike, else the one anywhere, the nearest of those that share it."""
    beside = {path[: len(keys)] for path in paths if path[: len(keys) - 1] == keys[:-1]}
    for candidates in (beside, paths):
        names = {path[-1] for path in candidates}
        if near := difflib.get_close_matches(keys[-1], names, n=1, cutoff=0.7):
            whole = {_path(path): path for path in candidates if path[-1] == near[0]}
            return whole[difflib.get_close_matches(_path(keys), whole, n=1, cutoff=0)[0]]
    return None


def setting_paths(model: type[BaseModel], above: Keys = ()) -> Iterator[Keys]:
    """Path of every single setting below a model; settings by name, such as `serving.models`, count as one."""
    for name, field in model.model_fields.items():
        inner = group_of(field.annotation)
        if inner is None:
            yield (*above, name)
        else:
            yield from setting_paths(inner, (*above, name))


def group_of(annotation: Any) -> type[BaseModel] | None:
    """The model of a field that is a group of settings, optional or not."""
    if get_origin(annotation) in (Union, types.UnionType):
        found = [group for inner in get_args(annotation) if (group := group_of(inner)) is not None]
        return found[0] if len(found) == 1 else None
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def variable_of(keys: Keys) -> str:
    """The environment variable of a setting."""
    return PREFIX + "__".join(keys).upper()


def unknown_variable(root: type[BaseModel], variable: str) -> str | None:
    """The sentence for a variable with the prefix that names no setting at all; None: it begins like one."""
    known = {name: group_of(field.annotation) is not None for name, field in root.model_fields.items()}
    keys = _keys_of(variable)
    if keys[0] in known and (known[keys[0]] or len(keys) == 1):
        return None
    names = [variable_of(path) for path in setting_paths(root)]
    near = difflib.get_close_matches(variable.upper(), names, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return f"The environment variable {variable} is not a setting of Plumbline.{hint}"


def _keys_of(variable: str) -> list[str]:
    return variable[len(PREFIX) :].lower().split("__")


def _path(keys: Keys) -> str:
    return ".".join(keys)


_NOTHING = object()


def _value(content: Any, keys: Keys) -> Any:
    for key in keys:
        if isinstance(content, Mapping):
            content = content.get(key, _NOTHING)
        elif isinstance(content, list) and key.isdigit() and int(key) < len(content):
            content = content[int(key)]
        else:
            return _NOTHING
    return content


_SECRET = re.compile(r"key|secret|password|token|credential", re.IGNORECASE)


def _shown(keys: Keys, value: object) -> str:
    """The value in brackets; nothing of a group, which may hold a secret, nor of what may be one."""
    return "" if keys and _SECRET.search(keys[-1]) else shown(value)
