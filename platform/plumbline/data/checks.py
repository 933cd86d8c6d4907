"""Holds records against the posting contract, and says in few fixed words what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from plumbline.data.contract import Posting
from plumbline.data.mapping.rows import Problem

_REASONS = {
    "missing": "missing",
    "string_too_short": "empty",
    "string_too_long": "too long",
    "literal_error": "not a value of the contract",
    "string_pattern_mismatch": "not a code of the right form",
    "greater_than_equal": "too small",
    "less_than_equal": "too large",
    "finite_number": "not finite",
    "timezone_aware": "no time zone",
    "extra_forbidden": "not a field of the contract",
}


def check(record: Mapping[str, Any]) -> Posting | list[Problem]:
    """Holds a record against the contract.

    Args:
        record: Values by field; None where nothing is known.

    Returns:
        The posting, or everything that is wrong with the record, in the order of the contract's fields.
    """
    # None is "not given": for a field with a default it means the default, for a needed one that it is missing.
    try:
        return Posting.model_validate({name: value for name, value in record.items() if value is not None})
    except ValidationError as error:
        return [_problem(each) for each in error.errors(include_url=False, include_input=False)]


def _problem(error: Any) -> Problem:
    where = str(error["loc"][0]) if error["loc"] else "row"
    if error["type"] == "value_error":
        # The contract's own sentences begin with the field that they are about, or speak of the salary.
        text = str(error["msg"]).removeprefix("Value error, ")
        head = text.split(" ", 1)[0]
        field = head if head in Posting.model_fields else "salary_min" if "salary" in text else where
        return Problem(field, text)
    return Problem(where, _REASONS.get(error["type"], str(error["type"]).replace("_", " ")))
