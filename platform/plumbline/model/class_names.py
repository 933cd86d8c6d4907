"""What the classes stand for, in a file of the model's folder: labels are codes, and people read names.

The file is the platform's, beside what the model's own `save` writes, so that a model of any class has it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from plumbline.errors import IntegrityError

CLASS_NAMES_FILE: Final = "class_names.json"


def write_class_names(folder: Path, names: Mapping[str, str]) -> None:
    """Writes the names by label into a model's folder; no names, no file."""
    if names:
        text = json.dumps(dict(names), indent=2, ensure_ascii=False)
        (folder / CLASS_NAMES_FILE).write_text(text + "\n", encoding="utf-8")


def read_class_names(folder: Path) -> dict[str, str]:
    """The names by label; empty where the model came without any.

    Raises:
        IntegrityError: The file is not a JSON object of texts.
    """
    path = folder / CLASS_NAMES_FILE
    if not path.is_file():
        return {}
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise IntegrityError(f"{path} is not JSON; the model is damaged. Fetch or train it again.") from error
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise IntegrityError(f"{path} must hold a name for each label; the model is damaged. Fetch or train it again.")
    return names


def titled(label: str, names: Mapping[str, str]) -> str:
    """A label with its name, such as `2 Professionals`; the bare label where it has none."""
    return f"{label} {names[label]}" if label in names else label
