"""Reads what the command line gives a pipeline: settings for one run, and the parity of features."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from plumbline.errors import MissingInputError, UserError


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
        place[keys[-1]] = yaml.safe_load(value)
    return nested


def parity_share(share: float | None, report: Path | None) -> float | None:
    """The share of equal feature pairs, given as a number or in a report; None when neither is given.

    Raises:
        UserError: Both are given, or the report is not one.
        MissingInputError: The report is not there.
    """
    if report is None:
        return share
    if share is not None:
        raise UserError("Give --parity or --parity-report, not both.")
    if not report.is_file():
        raise MissingInputError(f"The parity report {report} is not there. Write it with `plumbline features parity`.")
    try:
        content = json.loads(report.read_text(encoding="utf-8"))
        matched, checked = int(content["matched"]), int(content["checked"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{report} is not what `plumbline features parity --json` prints.") from error
    if checked < 1:
        raise UserError(f"{report} compares no pair at all. Run `plumbline features parity` on a built store.")
    return matched / checked
