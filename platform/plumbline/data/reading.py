"""Reads files of postings row by row: CSV and JSON Lines (plain or .gz) and Parquet, each row with its place."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from plumbline.errors import MissingInputError, UserError

FORMATS = (".csv", ".csv.gz", ".jsonl", ".jsonl.gz", ".parquet")
_LONGEST_CELL = 16 * 1024 * 1024
_HEAD_ROWS = 100


@dataclass(frozen=True, slots=True)
class RawRow:
    """One row as it stands in the source.

    Attributes:
        line: Physical line of the file at which the row begins, from 1 (Parquet: number of the row).
        values: Text by column; None where there is none.
        defect: Why the row cannot be read at all; None for a row that can.
    """

    line: int
    values: dict[str, str | None]
    defect: str | None = None


class RowSource(Protocol):
    """Rows with named columns, to be read once, in order."""

    columns: tuple[str, ...]

    def rows(self) -> Iterator[RawRow]:
        """The rows."""
        ...


@dataclass(frozen=True)
class IterableSource:
    """Rows from memory or from a generator.

    Attributes:
        columns: Their columns.
        chunks: Lists of rows, each a dictionary of text by column.
    """

    columns: tuple[str, ...]
    chunks: Iterable[list[dict[str, str]]]

    def rows(self) -> Iterator[RawRow]:
        """The rows; their line is their number, from 1."""
        line = 0
        for chunk in self.chunks:
            for values in chunk:
                line += 1
                yield RawRow(line, dict(values))


class FileSource:
    """Rows of a file. The format follows from the file's name."""

    def __init__(self, path: Path, *, encoding: str = "utf-8", delimiter: str = ",") -> None:
        """Opens the file and reads its columns.

        Args:
            path: File; its name ends with one of `FORMATS`.
            encoding: Of CSV and JSON Lines.
            delimiter: Of CSV.

        Raises:
            MissingInputError: There is no such file.
            UserError: The format is unknown, the encoding does not exist, or the file cannot be read.
        """
        if not path.is_file():
            raise MissingInputError(f"{path} is not a file. Check the path (it is relative to {Path.cwd()}).")
        name = path.name.lower()
        self._path, self._encoding, self._delimiter = path, encoding, delimiter
        if name.endswith(".parquet"):
            self._read = self._parquet
        elif name.endswith((".jsonl", ".jsonl.gz")):
            self._read = self._json_lines
        elif name.endswith((".csv", ".csv.gz")):
            self._read = self._csv
        else:
            raise UserError(f"The format of {path.name} is unknown; give a file that ends with {', '.join(FORMATS)}.")
        self.columns = self._head()

    def rows(self) -> Iterator[RawRow]:
        """The rows. One that cannot be read comes with its defect; one that breaks the file raises.

        Raises:
            UserError: The file itself is damaged; the message says where.
        """
        line = 1
        try:
            for row in self._read():
                line = row.line
                yield row
        except (EOFError, zlib.error, gzip.BadGzipFile, csv.Error, pa.ArrowException, UnicodeError, OSError) as error:
            raise UserError(f"{self._path} cannot be read after line {line}: {error}. Fetch it again.") from error

    def digest(self) -> str:
        """SHA-256 of the file."""
        with self._path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _head(self) -> tuple[str, ...]:
        if self._read == self._parquet:
            try:
                return tuple(pq.read_schema(self._path).names)
            except (pa.ArrowException, OSError) as error:
                raise UserError(f"{self._path} is not a Parquet file: {error}") from error
        found: dict[str, None] = {}
        for number, row in enumerate(self.rows()):
            found |= dict.fromkeys(row.values if row.defect is None else ())
            if number >= _HEAD_ROWS:
                break
        if not found:
            raise UserError(f"{self._path} has no rows, or none of its first rows can be read.")
        return tuple(found)

    def _open(self) -> IO[str]:
        # Bytes that are not text become surrogates: their row is refused with its line, and the rest is read.
        zipped = self._path.name.lower().endswith(".gz")
        raw: Any = gzip.GzipFile(self._path) if zipped else self._path.open("rb")
        encoding = "utf-8-sig" if self._encoding.lower().replace("_", "-") in {"utf-8", "utf8"} else self._encoding
        try:
            return io.TextIOWrapper(raw, encoding=encoding, errors="surrogateescape", newline="")
        except LookupError as error:
            raise UserError(f"The encoding {self._encoding} does not exist; try utf-8 or cp1250.") from error

    def _csv(self) -> Iterator[RawRow]:
        with self._open() as file:
            csv.field_size_limit(_LONGEST_CELL)
            reader = csv.reader((line.replace("\0", "\ufffd") for line in file), delimiter=self._delimiter)
            header = [name.strip() for name in next(reader, [])]
            twice = {name for name in header if header.count(name) > 1}
            if twice:
                raise UserError(f"{self._path} has the column {', '.join(sorted(twice))} twice; rename one.")
            line = reader.line_num
            for cells in reader:
                first, line = line + 1, reader.line_num
                if not cells:
                    continue
                defect = None
                if len(cells) != len(header):
                    defect = "not as many cells as the header"
                elif not _is_text(cells):
                    defect = f"not {self._encoding} text"
                values: dict[str, str | None] = dict(zip(header, map(_printable, cells), strict=False))
                if len(cells) > len(header):
                    values["(beyond the header)"] = self._delimiter.join(map(_printable, cells[len(header) :]))
                yield RawRow(first, values, defect)

    def _json_lines(self) -> Iterator[RawRow]:
        with self._open() as file:
            for line, text in enumerate(file, start=1):
                if not text.strip():
                    continue
                if not _is_text([text]):
                    yield RawRow(line, {"(line)": _printable(text)}, f"not {self._encoding} text")
                    continue
                try:
                    content = json.loads(text)
                except ValueError:
                    yield RawRow(line, {"(line)": text}, "not JSON")
                    continue
                if not isinstance(content, dict):
                    yield RawRow(line, {"(line)": text}, "not a JSON object")
                    continue
                yield RawRow(line, {name: _cell_text(value) for name, value in content.items()})

    def _parquet(self) -> Iterator[RawRow]:
        line = 0
        with pq.ParquetFile(self._path) as file:
            for batch in file.iter_batches(batch_size=2_000):
                for content in batch.to_pylist():
                    line += 1
                    yield RawRow(line, {name: _cell_text(value) for name, value in content.items()})


def _is_text(cells: Iterable[str]) -> bool:
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        return False
    return True


def _printable(text: str) -> str:
    return text if text.isascii() else text.encode(errors="replace").decode()


def _cell_text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        return _printable(value)
    if isinstance(value, float) and value != value:  # noqa: PLR0124 - the test for NaN without a library
        return None
    if isinstance(value, datetime):
        return value.isoformat()
    return json.dumps(value, ensure_ascii=False, default=str).strip('"')
