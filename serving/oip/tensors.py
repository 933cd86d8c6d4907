"""Input tensors: what they claim is held against what they hold before anything is made of it.

Layout of raw contents (Open Inference Protocol, binary tensor extension): little-endian, row-major, no padding;
a BYTES element is its length, four bytes unsigned, and then its bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from serving.errors import RequestRefusedError

BYTES = "BYTES"
FP64 = "FP64"
_LENGTH = struct.Struct("<I")
_COLUMN_RANK = 2
_NUMBERS = frozenset({int, float, type(None)})
_TEXTS = frozenset({str, bytes, type(None)})


@dataclass(slots=True)
class InputTensor:
    """One named column of a request."""

    name: str
    values: Sequence[Any]
    """One value per row: `bytes` or `str` of BYTES, a number of FP64, None where JSON says null."""


def invalid(detail: str) -> RequestRefusedError:
    """The refusal of a request that does not keep to the protocol."""
    return RequestRefusedError(400, "invalid-tensor", detail)


def rows_of(name: str, shape: Sequence[Any], limit: int) -> int:
    """The number of rows that a shape claims.

    Args:
        name: Name of the tensor.
        shape: As sent, of any JSON values.
        limit: The most rows that a request may have.

    Raises:
        RequestRefusedError: The shape is neither [rows] nor [rows, 1], or has no or too many rows.
    """
    # bool is an int to isinstance, and True would be a row.
    rank = len(shape)
    if not (
        1 <= rank <= _COLUMN_RANK and type(shape[0]) is int and (rank == 1 or (type(shape[1]) is int and shape[1] == 1))
    ):
        raise invalid(f"The tensor {name} has the shape {_short(shape)}: give [rows] or [rows, 1].")
    rows: int = shape[0]
    if not 1 <= rows <= limit:
        raise invalid(f"The tensor {name} has {_short(rows)} rows: give from 1 to {limit}.")
    return rows


def from_raw(name: str, datatype: str, rows: int, content: bytes) -> InputTensor:
    """Reads raw contents.

    Raises:
        RequestRefusedError: They are not what `rows` elements of the type take.
    """
    if datatype == FP64:
        if len(content) != 8 * rows:
            raise invalid(f"The tensor {name} holds {len(content)} bytes: {rows} rows of FP64 are {8 * rows}.")
        return InputTensor(name, list(struct.unpack(f"<{rows}d", content)))
    return InputTensor(name, _split(name, rows, content))


def from_values(name: str, datatype: str, rows: int, values: Sequence[Any]) -> InputTensor:
    """Takes single values, nested like the shape [rows, 1] or flat.

    Raises:
        RequestRefusedError: They are not `rows` values of the type.
    """
    if len(values) != rows:
        raise invalid(f"The tensor {name} holds {len(values)} values, and its shape has {rows} rows.")
    if isinstance(values[0], list):
        if not all(isinstance(value, list) and len(value) == 1 for value in values):
            raise invalid(f"The tensor {name} is nested, but not as its shape: one list with one value per row.")
        values = [value[0] for value in values]
    allowed = _NUMBERS if datatype == FP64 else _TEXTS
    for row, value in enumerate(values):
        if type(value) not in allowed:
            raise invalid(f"The tensor {name} holds no {datatype} in row {row}.")
    return InputTensor(name, values)


def _split(name: str, rows: int, content: bytes) -> list[bytes]:
    size = len(content)
    if rows == 1 and size >= _LENGTH.size and _LENGTH.unpack_from(content)[0] == size - _LENGTH.size:
        return [content[_LENGTH.size :]]
    values = []
    start = 0
    for row in range(rows):
        end = start + 4
        if end <= size:
            end += _LENGTH.unpack_from(content, start)[0]
        if end > size:
            raise invalid(f"The tensor {name} ends in row {row}: its {size} bytes do not hold {rows} rows.")
        values.append(content[start + 4 : end])
        start = end
    if start != size:
        raise invalid(f"The tensor {name} holds {size - start} bytes more than its {rows} rows take.")
    return values


def _short(value: Any) -> str:
    text = str(list(value)) if isinstance(value, Sequence) else str(value)
    return text if len(text) <= 40 else f"{text[:40]}..."
