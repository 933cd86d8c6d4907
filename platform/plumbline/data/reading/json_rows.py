"""Reads JSON: an object a line, or an array of objects."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from plumbline.data.reading.nested import HEAD_ROWS, NestedRow, is_deeper
from plumbline.data.reading.rows import RawRow
from plumbline.data.reading.text import is_text, not_text, open_text, printable
from plumbline.errors import UserError

_DEEPEST = 32
_TOO_DEEP = f"more than {_DEEPEST} objects and lists inside each other"
_HALF_A_PAIR = re.compile(r"\\u[dD][89a-fA-F]")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")


class JsonRows:
    """Rows of a JSON file.

    Attributes:
        columns: Paths of the first rows.
    """

    def __init__(self, path: Path, encoding: str) -> None:
        """Reads the first rows.

        Raises:
            UserError: None of them can be read.
        """
        self._path, self._encoding = path, encoding
        found: dict[str, None] = {}
        defect = None
        for number, row in enumerate(self.rows()):
            if isinstance(row.values, NestedRow):
                found |= dict.fromkeys(row.values.paths())
            else:
                defect = defect or f"line {row.line} is {row.defect}"
            if number >= HEAD_ROWS:
                break
        if not found:
            raise UserError(
                f"{path} has no rows." if defect is None else f"None of the first rows of {path} can be read: {defect}."
            )
        self.columns = tuple(found)

    def rows(self) -> Iterator[RawRow]:
        """The rows.

        Raises:
            UserError: The file holds one object over several lines.
        """
        with open_text(self._path, self._encoding) as file:
            lines = enumerate(file, start=1)
            for line, text in lines:
                if not text.strip():
                    continue
                row = self._row(line, text, file.encoding)
                if row.defect is None:
                    yield row
                    break
                rest = file.read()
                whole = _whole(text + rest)
                if isinstance(whole, list):
                    yield from (self._row(number, json.dumps(each), "utf-8") for number, each in enumerate(whole, 1))
                    return
                if isinstance(whole, dict) and rest.strip():
                    raise UserError(
                        f"{self._path} holds one object over several lines; give an array of rows, or a row a line."
                    )
                yield row
                lines = enumerate(io.StringIO(rest), start=line + 1)
                break
            for line, text in lines:
                if text.strip():
                    yield self._row(line, text, file.encoding)

    def _row(self, line: int, text: str, encoding: str) -> RawRow:
        content: Any = None
        if not is_text([text]):
            defect: str | None = not_text(encoding)
        else:
            try:
                content = json.loads(text)
                defect = _defect(content, text)
            except (ValueError, RecursionError) as error:
                defect = "not JSON" if isinstance(error, ValueError) else _TOO_DEEP
        if defect is None:
            return RawRow(line, NestedRow(content))
        # What is kept of the line is masked, and an escape must hide nothing from that.
        plain = _ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), text)
        return RawRow(line, {"(line)": printable(plain)}, defect)


def _defect(content: Any, text: str) -> str | None:
    if not isinstance(content, dict):
        return "not a JSON object"
    if is_deeper(content, _DEEPEST):
        return _TOO_DEEP
    if _HALF_A_PAIR.search(text) and not is_text([json.dumps(content, ensure_ascii=False)]):
        return "not text: half of a surrogate pair"
    return None


def _whole(text: str) -> Any:
    try:
        found = json.loads(text)
        json.dumps(found)
    except (ValueError, RecursionError):
        return None
    return found
