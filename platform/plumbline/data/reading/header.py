"""Names of the columns of a table whose first row has them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from plumbline.errors import UserError


def column_names(path: Path, cells: Sequence[str]) -> tuple[str, ...]:
    """The names; a column without one is `(column 3)`.

    Raises:
        UserError: There are no cells, or a name is there twice.
    """
    if not cells:
        raise UserError(f"{path} is empty.")
    names = [name.strip() or f"(column {number})" for number, name in enumerate(cells, start=1)]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UserError(f"{path} has the column {', '.join(sorted(twice))} twice; rename one.")
    return tuple(names)
