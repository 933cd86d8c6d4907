"""Reads CSV and its kin: cells between delimiters, under a header."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from plumbline.data.reading.header import column_names
from plumbline.data.reading.rows import RawRow
from plumbline.data.reading.text import is_text, not_text, open_text, printable
from plumbline.errors import UserError

_LONGEST_CELL = 16 * 1024 * 1024
_DELIMITERS = (",", ";", "\t", "|")
_FIRST_LINE = re.compile(r"\ufeff?sep=(.)\r?\n?", re.IGNORECASE)
"""Spreadsheet programs write their delimiter so into a line of its own."""

BEYOND = "(beyond the header)"


class Delimited:
    """Rows of a delimited file.

    Attributes:
        columns: Names of the header; a column without a name is `(column 3)`.
    """

    def __init__(self, path: Path, encoding: str, delimiter: str | None) -> None:
        """Reads the header.

        Args:
            path: File.
            encoding: Of the file, unless it has a byte order mark.
            delimiter: None: the one that its first line or its ending says, else a comma.

        Raises:
            UserError: The file has no header, or one that shows another encoding or delimiter, or a column twice.
        """
        self._path, self._encoding = path, encoding
        by_name = "\t" if re.search(r"\.(?:tsv|tab)(?:\.gz)?$", path.name, re.IGNORECASE) else ","
        self._delimiter = delimiter or by_name
        with open_text(path, encoding) as file:
            self.columns = self._header(next(self._records(file), (0, []))[1], file.encoding)

    def rows(self) -> Iterator[RawRow]:
        """The rows.

        Raises:
            UserError: A quote is opened and never closed.
        """
        header = self.columns
        with open_text(self._path, self._encoding) as file:
            records = self._records(file)
            next(records)
            defect_of_bytes = not_text(file.encoding)
            for first, cells in records:
                while len(cells) > len(header) and not cells[-1]:
                    cells.pop()
                defect = None
                if len(cells) != len(header):
                    defect = f"{len(cells)} cell{'s' * (len(cells) != 1)} under a header of {len(header)}"
                elif not is_text(cells):
                    defect = defect_of_bytes
                values: dict[str, str | None] = dict(zip(header, map(printable, cells), strict=False))
                if len(cells) > len(header):
                    values[BEYOND] = self._delimiter.join(map(printable, cells[len(header) :]))
                yield RawRow(first, values, defect)

    def _records(self, file: IO[str]) -> Iterator[tuple[int, list[str]]]:
        """Records that are not empty, with the line at which they begin."""
        csv.field_size_limit(_LONGEST_CELL)
        skipped = 0
        first_line = file.readline()
        if said := _FIRST_LINE.fullmatch(first_line):
            self._delimiter, first_line, skipped = said.group(1), "", 1
        record: list[str] = []

        def lines() -> Iterator[str]:
            for line in itertools.chain([first_line] if first_line else [], file):
                record.append(line)
                yield line.replace("\0", "\ufffd")

        reader = csv.reader(lines(), delimiter=self._delimiter)
        first, last, written = 0, skipped, record
        try:
            for cells in reader:
                first, last = last + 1, skipped + reader.line_num
                written = record.copy()
                record.clear()
                if cells:
                    yield first, cells
        except csv.Error as error:
            raise UserError(
                f"{self._path}: {error} in the row that begins in line {last + 1}. Look for a quote that is not closed."
            ) from error
        if self._is_open(written):
            raise UserError(
                f"{self._path}: the row that begins in line {first} opens a quote that is never closed. "
                "Close it, or write it twice where it is part of the text."
            )

    def _is_open(self, written: list[str]) -> bool:
        if sum(line.count('"') for line in written) % 2 == 0:
            return False
        try:
            list(csv.reader(written, delimiter=self._delimiter, strict=True))
        except csv.Error as error:
            return "unexpected end of data" in str(error)
        return False

    def _header(self, cells: list[str], encoding: str) -> tuple[str, ...]:
        if not is_text(cells):
            raise UserError(
                f"The header of {self._path} is not {encoding.removesuffix('-sig')} text; "
                "set `encoding` in the mapping, such as cp1252."
            )
        names = column_names(self._path, cells)
        other = max(set(_DELIMITERS) - {self._delimiter}, key=names[0].count)
        if len(names) == 1 and other in names[0]:
            shown = "\\t" if other == "\t" else other
            raise UserError(
                f"{self._path} has one column, {names[0]!r}, when it is read with the delimiter {self._delimiter!r}; "
                f'set `delimiter: "{shown}"` in the mapping.'
            )
        return names
