"""Reads Parquet."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from plumbline.data.reading.header import column_names
from plumbline.data.reading.nested import HEAD_ROWS, NestedRow
from plumbline.data.reading.rows import RawRow
from plumbline.data.reading.text import not_text
from plumbline.errors import UserError

_BATCH_ROWS = 2_000


class ParquetRows:
    """Rows of a Parquet file.

    Attributes:
        columns: Paths of its schema.
    """

    def __init__(self, path: Path) -> None:
        """Reads the schema.

        Raises:
            UserError: It is not a Parquet file, or has a column twice.
        """
        self._path = path
        try:
            schema = pq.read_schema(path)
        except (pa.ArrowException, OSError) as error:
            raise UserError(f"{path} is not a Parquet file: {error}") from error
        column_names(path, schema.names)
        columns = dict.fromkeys(found for field in schema for found in _paths(field, ""))
        if any("map<" in str(field.type) for field in schema):  # its names are in the rows alone
            for row in itertools.islice(self.rows(), HEAD_ROWS):
                columns |= dict.fromkeys(row.values.paths() if isinstance(row.values, NestedRow) else ())
        self.columns = tuple(columns)

    def rows(self) -> Iterator[RawRow]:
        """The rows; binary columns are read as UTF-8, as writers leave them that do not say what is text."""
        line = 0
        with pq.ParquetFile(self._path) as file:
            for batch in file.iter_batches(batch_size=_BATCH_ROWS):
                for content in batch.to_pylist():
                    line += 1
                    try:
                        yield RawRow(line, NestedRow(_decoded(content, "strict")))
                    except UnicodeDecodeError:
                        yield RawRow(line, NestedRow(_decoded(content, "replace")), not_text("utf-8"))


def _paths(field: pa.Field, prefix: str) -> Iterator[str]:
    path, kind = f"{prefix}{field.name}", field.type
    yield path
    while pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        kind = kind.value_type
    if pa.types.is_struct(kind):
        for inner in kind:
            yield from _paths(inner, f"{path}.")


def _decoded(value: Any, errors: str) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", errors)
    if isinstance(value, dict):
        return {name: _decoded(inner, errors) for name, inner in value.items()}
    if isinstance(value, list) and value and all(isinstance(each, tuple) for each in value):
        return {_decoded(name, errors): _decoded(inner, errors) for name, inner in value}  # a map
    if isinstance(value, list):
        return [_decoded(inner, errors) for inner in value]
    return value
