"""Loads mapping files, and refuses what is not in them to be said."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from plumbline.data.contract import POSTING_COLUMNS
from plumbline.data.mapping.model import Fields, Mapping
from plumbline.data.reading import FileSource
from plumbline.errors import MappingError, MissingInputError
from plumbline.faults import explain


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
    except (yaml.YAMLError, ValueError) as error:  # ValueError: no UTF-8, or a date that the calendar lacks
        raise MappingError(f"{path} is not YAML: {' '.join(str(error).split())}.") from error
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
        raise MappingError(f"{origin}: {explain(error, Mapping)}") from error


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
