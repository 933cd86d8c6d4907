"""Reads sheets of workbooks (.xlsx)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import python_calamine

from plumbline.data.reading.header import column_names
from plumbline.data.reading.nested import as_text
from plumbline.data.reading.rows import RawRow
from plumbline.errors import UserError


class WorkbookRows:
    """Rows of a sheet.

    Attributes:
        columns: Names in its first row that is not empty.
    """

    def __init__(self, path: Path, sheet: str | None) -> None:
        """Reads the sheet, whole.

        Args:
            path: File.
            sheet: Name of the sheet; None: its only one.

        Raises:
            UserError: It is not a workbook, or has no such sheet, or several and none is named.
        """
        try:
            with python_calamine.CalamineWorkbook.from_path(path) as book:
                names = book.sheet_names
                if (len(names) != 1) if sheet is None else (sheet not in names):
                    raise UserError(f"Set `sheet` in the mapping; the sheets of {path} are: {', '.join(names)}.")
                cells = book.get_sheet_by_name(sheet or names[0]).to_python(skip_empty_area=False)
        except python_calamine.CalamineError as error:
            raise UserError(f"{path} is not a workbook that can be read: {error}") from error
        rows = [(line, [_text(cell) for cell in row]) for line, row in enumerate(cells, start=1)]
        self._rows = [(line, row) for line, row in rows if any(row)]
        self.columns = column_names(path, [cell or "" for cell in self._rows[0][1]] if self._rows else [])

    def rows(self) -> Iterator[RawRow]:
        """The rows; their line is their number in the sheet."""
        for line, row in self._rows[1:]:
            yield RawRow(line, dict(zip(self.columns, row, strict=True)))


def _text(cell: object) -> str | None:
    # A spreadsheet has one kind of number; 251401.0 was entered as 251401.
    return as_text(int(cell) if isinstance(cell, float) and cell.is_integer() else cell) or None
