"""What every reader gives: rows as text by column."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class RawRow:
    """One row as it stands in the source.

    Attributes:
        line: Physical line of the file at which the row begins, from 1 (Parquet, JSON arrays: number of the row).
        values: Text by column; None where there is none.
        defect: Why the row cannot be read at all; None for a row that can.
    """

    line: int
    values: Mapping[str, str | None]
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
