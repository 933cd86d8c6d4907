"""Loads mapping files, and refuses what is not in them to be said."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from plumbline.data.contract import POSTING_COLUMNS
from plumbline.data.mapping import model
from plumbline.data.mapping.model import Fields, Mapping
from plumbline.data.reading import FileSource
from plumbline.errors import MappingError, MissingInputError


def load_mapping(path: Path) -> Mapping:
    """Reads a mapping file (YAML).

    Raises:
        MissingInputError: There is no such file.
        MappingError: It is not YAML, has an unknown key (the nearest valid one is named) or a wrong value.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError) as error:
        raise MissingInputError(f"{path} is not a file. Check the path of the mapping.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise MappingError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    return parse_mapping(content, str(path))


def open_file(path: Path, mapping: Mapping) -> FileSource:
    """Opens a file in the form that its mapping says.

    Raises:
        MissingInputError: There is no such file.
        UserError: It is in another form.
    """
    return FileSource(path, encoding=mapping.encoding, delimiter=mapping.delimiter, sheet=mapping.sheet)


def parse_mapping(content: Any, origin: str) -> Mapping:
    """Checks the content of a mapping file.

    Args:
        content: What YAML made of it.
        origin: Its name, for messages.

    Raises:
        MappingError: A key is unknown or missing, or a value is wrong.
    """
    try:
        return Mapping.model_validate(content)
    except ValidationError as error:
        raise MappingError(f"{origin}: {_explain(error)}") from error


def contract_mapping(columns: Sequence[str]) -> Mapping:
    """The mapping of a file whose columns are named as the contract's fields, such as the generator's.

    Raises:
        MappingError: A field that every posting needs has no column.
    """
    needed = ("posting_id", "event_timestamp", "board", "title", "description")
    missing = [name for name in needed if name not in columns]
    if missing:
        raise MappingError(
            f"The file has no column {', '.join(missing)}, and no mapping says which column stands for it. "
            f"Give a mapping file; the columns are: {', '.join(columns)}."
        )
    fields: dict[str, Any] = {name: name for name in POSTING_COLUMNS if name in columns and name != "label_timestamp"}
    if "label" in columns and "label_timestamp" in columns:
        fields["label"] = {"column": "label", "timestamp": {"column": "label_timestamp"}}
    if "collected_at" in columns:
        fields["collected_at"] = "collected_at"
    return Mapping(name="contract", fields=Fields.model_validate(fields))


def nearest(name: str, choices: Sequence[str]) -> str | None:
    """The choice that looks most like a name, or None."""
    found = difflib.get_close_matches(name, choices, n=1, cutoff=0.4)
    return found[0] if found else None


def _explain(error: ValidationError) -> str:
    # A misspelt key is also a missing one; its spelling is what the reader wants to know.
    errors = error.errors()
    first = next((each for each in errors if each["type"] == "extra_forbidden"), errors[0])
    path = [str(part) for part in first["loc"]]
    where = ".".join(path) or "the mapping"
    if first["type"] == "extra_forbidden":
        near = nearest(path[-1], _keys_at(path[:-1]))
        hint = f" Did you mean {near}?" if near else ""
        return f"the key {where} does not exist.{hint}"
    if first["type"] == "missing":
        return f"the key {where} is missing."
    return f"{where} has a wrong value: {first['msg'].removeprefix('Value error, ')}."


def _keys_at(path: Sequence[str]) -> list[str]:
    """Valid keys of the model that lies at a path of the mapping."""
    current: type[BaseModel] = Mapping
    for part in path:
        if part.isdigit():
            continue
        field = current.model_fields.get(part)
        inner = (
            None if field is None else next((each for each in _MODELS if each.__name__ in str(field.annotation)), None)
        )
        if inner is None:
            return []
        current = inner
    return list(current.model_fields)


_MODELS: tuple[type[BaseModel], ...] = (
    model.TextField,
    model.IdField,
    model.TimeField,
    model.NumberField,
    model.SalaryField,
    model.LabelField,
    model.LabelTerms,
    model.ValueRule,
    model.Sequence,
    model.Fields,
)
