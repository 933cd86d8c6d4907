"""Reads files of postings: the format follows from the file's name."""

from __future__ import annotations

import csv
import hashlib
import zlib
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from plumbline.data.reading.arrow_rows import ParquetRows
from plumbline.data.reading.delimited import Delimited
from plumbline.data.reading.json_rows import JsonRows
from plumbline.data.reading.rows import RawRow, RowSource
from plumbline.errors import MissingInputError, UserError

_DELIMITED = (".csv", ".tsv", ".tab")
_JSON = (".jsonl", ".ndjson", ".json")
FORMATS = (*(f"{ending}{zipped}" for ending in (*_DELIMITED, *_JSON) for zipped in ("", ".gz")), ".parquet", ".xlsx")

_DAMAGES = (EOFError, zlib.error, csv.Error, pa.ArrowException, ValueError, OverflowError, OSError)


class FileSource:
    """Rows of a file.

    Attributes:
        columns: Its columns; of nested rows the dotted paths.
    """

    columns: tuple[str, ...]

    def __init__(
        self, path: Path, *, encoding: str = "utf-8", delimiter: str | None = None, sheet: str | None = None
    ) -> None:
        """Opens the file and reads its columns.

        Args:
            path: File; its name ends with one of `FORMATS`.
            encoding: Of text; a byte order mark says it better.
            delimiter: Of CSV; None: the one that the file's first line or its ending says, else a comma.
            sheet: Of a workbook; None: its only one.

        Raises:
            MissingInputError: There is no such file.
            UserError: The format is unknown, the encoding does not exist, or the file cannot be read.
        """
        if not path.is_file():
            raise MissingInputError(f"{path} is not a file. Check the path (it is relative to {Path.cwd()}).")
        self._path = path
        name = path.name.lower()
        if not name.endswith(FORMATS):
            raise UserError(f"The format of {path.name} is unknown; give a file that ends with {', '.join(FORMATS)}.")
        try:
            self._rows = _open(path, name.removesuffix(".gz"), encoding, delimiter, sheet)
        except _DAMAGES as error:
            raise self._damaged(1, error) from error
        self.columns = self._rows.columns

    def rows(self) -> Iterator[RawRow]:
        """The rows. One that cannot be read comes with its defect; one that breaks the file raises.

        Raises:
            UserError: The file itself is damaged; the message says where.
        """
        line = 1
        try:
            for row in self._rows.rows():
                line = row.line
                yield row
        except _DAMAGES as error:
            raise self._damaged(line, error) from error

    def digest(self) -> str:
        """SHA-256 of the file."""
        with self._path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _damaged(self, line: int, error: Exception) -> UserError:
        return UserError(f"{self._path} cannot be read after line {line}: {error}. Fetch it again.")


def _open(path: Path, name: str, encoding: str, delimiter: str | None, sheet: str | None) -> RowSource:
    if name.endswith(_DELIMITED):
        return Delimited(path, encoding, delimiter)
    if name.endswith(_JSON):
        return JsonRows(path, encoding)
    if name.endswith(".parquet"):
        return ParquetRows(path)
    from plumbline.data.reading.workbook import WorkbookRows  # its library is an extra

    return WorkbookRows(path, sheet)
