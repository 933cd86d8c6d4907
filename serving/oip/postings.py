"""Postings of input tensors: one tensor per field of the posting contract, or one of JSON documents."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from plumbline.data.contract import PostingRequest
from plumbline.faults import wanted
from serving.engine.intake import prepare
from serving.errors import RequestRefusedError
from serving.oip.tensors import BYTES, FP64, InputTensor, invalid

POSTING = "posting"
"""The tensor that holds whole postings, as JSON. It stands alone."""

_NUMBERS = ("salary_min", "salary_max")
_DEFAULTED = ("posting_id", "event_timestamp")
DATATYPES: Mapping[str, str] = {
    **{name: FP64 if name in _NUMBERS else BYTES for name in PostingRequest.model_fields},
    POSTING: BYTES,
}
"""Datatype of each input by its name."""

REQUIRED: tuple[str, ...] = tuple(
    name for name, field in PostingRequest.model_fields.items() if field.is_required() and name not in _DEFAULTED
)
"""Fields that must be sent, unless `posting` is."""

_MOST_FAULTS = 16
"""Faults that a refusal names."""

_SLICE = 16
"""Rows that are validated and masked before the event loop has a turn: some hundreds of microseconds."""


def datatype_of(name: str, datatype: Any) -> str:
    """The datatype of an input.

    Raises:
        RequestRefusedError: There is no such input, or it has another datatype.
    """
    expected = DATATYPES.get(name)
    if expected is None:
        raise invalid(f"There is no input {name[:64]!r}. Inputs are: {', '.join(DATATYPES)}.")
    if datatype != expected:
        raise invalid(f"The tensor {name} has the datatype {str(datatype)[:16]}: it must be {expected}.")
    return expected


async def postings_of(inputs: Sequence[InputTensor], row_ids: Sequence[str]) -> list[PostingRequest]:
    """Valid, masked postings; in slices, between which the event loop has its turn.

    Args:
        inputs: Tensors that `require_whole` has let through.
        row_ids: The ids of the rows. They stand in for a `posting_id` that is not stated.

    Raises:
        RequestRefusedError: 422 if rows break the posting contract, with tensor and row of up to 16 faults.
    """
    columns = {tensor.name: tensor.values for tensor in inputs}
    document = POSTING in columns
    parse = _documents(columns[POSTING]) if document else _fields(columns, row_ids)
    postings: list[PostingRequest] = []
    faults: list[tuple[str, str]] = []
    for row in range(len(row_ids)):
        if row and row % _SLICE == 0:
            await asyncio.sleep(0)
        try:
            postings.append(prepare(parse(row)))
        except ValidationError as error:
            faults += _faults(error, row, document=document)
            if len(faults) >= _MOST_FAULTS:
                break
    if faults:
        raise _broken(faults)
    return postings


def require_whole(inputs: Sequence[InputTensor]) -> int:
    """The number of rows of tensors of known names.

    Raises:
        RequestRefusedError: 400 if tensors are missing, doubled or of different lengths.
    """
    names = [tensor.name for tensor in inputs]
    for name in names:
        if names.count(name) > 1:
            raise invalid(f"The tensor {name} is there twice.")
    if POSTING in names:
        if len(names) > 1:
            raise invalid(f"The tensor {POSTING} holds whole postings: send it alone, or one tensor per field.")
    elif missing := [name for name in REQUIRED if name not in names]:
        raise invalid(f"Tensors are missing: {', '.join(missing)}. Or send whole postings as the tensor {POSTING}.")
    if len({len(tensor.values) for tensor in inputs}) > 1:
        by_name = ", ".join(f"{tensor.name} {len(tensor.values)}" for tensor in inputs)
        raise invalid(f"The tensors have different numbers of rows: {by_name}.")
    return len(inputs[0].values)


def _documents(documents: Sequence[Any]) -> Callable[[int], PostingRequest]:
    def parse(row: int) -> PostingRequest:
        document = documents[row]
        return PostingRequest.model_validate_json(b"null" if document is None else document)

    return parse


def _fields(columns: Mapping[str, Sequence[Any]], row_ids: Sequence[str]) -> Callable[[int], PostingRequest]:
    now = datetime.now(UTC)

    def parse(row: int) -> PostingRequest:
        fields: dict[str, Any] = {"posting_id": row_ids[row], "event_timestamp": now}
        for name, values in columns.items():
            value = values[row]
            if isinstance(value, bytes):
                value = _text(value, name, row)
            # Empty is how a tensor says 'not stated'; the contract then has its default, or misses the field.
            if value is not None and (value != "" or name in REQUIRED):
                fields[name] = value
        return PostingRequest.model_validate(fields)

    return parse


def _text(value: bytes, name: str, row: int) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise _broken([(f"{name}[{row}]", f"is not UTF-8 from byte {error.start} on")]) from error


def _faults(error: ValidationError, row: int, *, document: bool) -> list[tuple[str, str]]:
    """Faults as (tensor[row], reason); of a document with the field inside it."""
    prefix = f"{POSTING}[{row}]" if document else f"row {row}"
    if error.error_count() > _MOST_FAULTS:
        return [(prefix, f"{error.error_count()} faults, most of them unknown fields")]
    faults = []
    for fault in error.errors(include_url=False, include_context=False, include_input=False):
        name = ".".join(str(part) for part in fault["loc"])[:64]
        if not name:  # not JSON, or a rule over several fields
            name = prefix
        elif document:
            name = f"{prefix}.{name}"
        else:
            name = f"{name}[{row}]"
        faults.append((name, wanted(fault)))
    return faults


def _broken(faults: list[tuple[str, str]]) -> RequestRefusedError:
    shown = faults[:_MOST_FAULTS]
    more = "; there may be more" if len(faults) >= _MOST_FAULTS else ""
    return RequestRefusedError(
        422,
        "contract-violation",
        f"Postings break the contract: {'; '.join(f'{field}: {reason}' for field, reason in shown)}{more}.",
        fields=shown,
    )
