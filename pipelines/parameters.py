"""Reads what the command line gives a pipeline: settings for one run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from plumbline.errors import UserError


def overrides_of(assignments: Sequence[str]) -> dict[str, Any]:
    """Nested settings from `group.field=value` texts; values are read as YAML.

    Raises:
        UserError: A text is not of that form.
    """
    nested: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        keys = name.strip().split(".")
        if not equals or not all(keys):
            raise UserError(f"--set {assignment} is not of the form group.field=value, as in --set model.seed=7.")
        place = nested
        for key in keys[:-1]:
            place = place.setdefault(key, {})
            if not isinstance(place, dict):
                raise UserError(f"--set {assignment} sets a field inside a value that another --set has given.")
        try:
            place[keys[-1]] = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError) as error:
            raise UserError(
                f"--set {assignment}: the value is not YAML. Write text with brackets or colons in quotes, as in "
                f"--set '{name.strip()}=\"...\"'."
            ) from error
    return nested
