"""Bodies in, valid and masked postings out: the one way in for every interface."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from plumbline.data.contract import PostingRequest
from plumbline.data.masking import mask_text
from plumbline.faults import wanted
from serving.errors import RequestRefusedError

_validate_json = PostingRequest.__pydantic_validator__.validate_json


class _Batch(BaseModel):
    model_config = ConfigDict(extra="forbid")

    postings: list[PostingRequest]


_validate_batch = _Batch.__pydantic_validator__.validate_json

_READ_AT_ONCE = 512 * 1024
"""Bytes of a batch that is read and validated in one go, in which the event loop has no turn: 3 to 5 ms."""

_BATCH_DEPTH = 3
"""Of any batch that keeps the contract."""

_NOT_JSON = (b"NaN", b"Infinity")
"""pydantic takes them for numbers, JSON does not; where a text holds them, the batch is read row by row."""

_SLICE = 16
"""Postings that are validated and masked before the event loop has a turn: some hundreds of microseconds."""

_MOST_FAULTS = 32
"""Faults that a refusal names. Naming each of the many that one body can hold would take longer than finding them."""

_LONGEST_NAME = 64
_JSON_STRUCTURE = re.compile(rb'"(?:[^"\\]|\\.)*+"?+|([\[{])|([\]}])', re.DOTALL)
"""A string that is never closed goes to the end: looked for again from each of its escaped quotes, it would take
quadratic time."""


def parse_posting(body: bytes, *, max_depth: int) -> PostingRequest:
    """One posting, valid and masked.

    Args:
        body: JSON.
        max_depth: Arrays and objects that may lie inside each other.

    Raises:
        RequestRefusedError: 400 where the body is not JSON, or too deep; 422 where it breaks the contract.
    """
    _refuse_depth(body, max_depth)
    try:
        posting = _validate_json(body)
    except ValidationError as error:
        raise _explain(error) from error
    return prepare(posting)


async def parse_postings(body: bytes, *, limit: int, max_depth: int) -> list[PostingRequest]:
    """The postings of a batch, valid and masked; in slices, between which the event loop has its turn.

    Args:
        body: JSON, `{"postings": [...]}`.
        limit: Most postings.
        max_depth: Arrays and objects that may lie inside each other.

    Raises:
        RequestRefusedError: 400 where the body is not JSON, or too deep; 422 where it is no batch, holds none or too
            many postings, or where a posting breaks the contract: fields are named as in `postings.3.title`.
    """
    if len(body) <= _READ_AT_ONCE and max_depth >= _BATCH_DEPTH and not any(word in body for word in _NOT_JSON):
        try:
            batch = _validate_batch(body).postings
        except ValidationError:
            batch = []  # read once more, to say what is wrong, where
        if 1 <= len(batch) <= limit:
            return await _prepare_all(batch)
    rows = _rows(body, limit, max_depth)
    postings: list[PostingRequest] = []
    faults: list[tuple[str, str]] = []
    for start in range(0, len(rows), _SLICE):
        for number, row in enumerate(rows[start : start + _SLICE], start):
            # From text once more, so that a posting means the same in a batch as alone; 2 µs each.
            try:
                posting = _validate_json(orjson.dumps(row))
            except ValidationError as error:
                faults += _faults(error, f"postings.{number}.")
            else:
                postings.append(posting)
        if len(faults) >= _MOST_FAULTS:
            break
        await asyncio.sleep(0)
    if faults:
        raise _violation("Postings break", faults)
    return await _prepare_all(postings)


async def _prepare_all(postings: list[PostingRequest]) -> list[PostingRequest]:
    prepared: list[PostingRequest] = []
    for start in range(0, len(postings), _SLICE):
        prepared += map(prepare, postings[start : start + _SLICE])
        await asyncio.sleep(0)
    return prepared


def prepare(posting: PostingRequest) -> PostingRequest:
    """The posting with personal details masked, as ingestion does.

    The model was trained on masked text, and the log must not hold personal details.
    """
    title, description = mask_text(posting.title), mask_text(posting.description)
    if title is posting.title and description is posting.description:
        return posting
    return posting.model_copy(update={"title": title, "description": description})


def _refuse_depth(body: bytes, limit: int) -> None:
    if body.count(b"{") + body.count(b"[") <= limit:
        return  # too few to be that deep, wherever they stand
    depth = 0
    for match in _JSON_STRUCTURE.finditer(body):
        if match.group(1):
            depth += 1
            if depth > limit:
                raise _too_deep(limit)
        elif match.group(2):
            depth -= 1


def _rows(body: bytes, limit: int, max_depth: int) -> list[Any]:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _not_json(str(error)) from error
    if _is_deeper(found, max_depth):  # what is parsed is looked at faster than what is not
        raise _too_deep(max_depth)
    rows = found.get("postings") if isinstance(found, dict) else None
    if not isinstance(rows, list):
        raise _violation("The body breaks", [("postings", 'Send an object {"postings": [...]}')])
    unknown = [name for name in found if name != "postings"]
    if unknown:
        raise _violation("The body breaks", [(_short(name), "Unknown field") for name in unknown[:_MOST_FAULTS]])
    if not 1 <= len(rows) <= limit:
        raise _violation("The body breaks", [("postings", f"{len(rows)} postings: send 1 to {limit}")])
    return rows


def _is_deeper(value: Any, limit: int) -> bool:
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return False
    return limit == 0 or any(_is_deeper(inner, limit - 1) for inner in value if isinstance(inner, dict | list))


def _too_deep(limit: int) -> RequestRefusedError:
    return RequestRefusedError(
        400, "too-deep", f"Arrays and objects lie more than {limit} inside each other. Send flatter JSON."
    )


def _explain(error: ValidationError) -> RequestRefusedError:
    if error.error_count() <= _MOST_FAULTS:
        (first, *_) = error.errors(include_url=False, include_context=False, include_input=False)
        if first["type"] == "json_invalid":
            return _not_json(first["msg"].removeprefix("Invalid JSON: "))
    return _violation("The posting breaks", _faults(error, ""))


def _faults(error: ValidationError, prefix: str) -> list[tuple[str, str]]:
    if error.error_count() > _MOST_FAULTS:
        return [(f"{prefix}(body)", f"{error.error_count()} faults, most of them unknown fields")]
    return [
        (prefix + (".".join(_short(str(part)) for part in fault["loc"]) or "(body)"), wanted(fault))
        for fault in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}..."


def _not_json(reason: str) -> RequestRefusedError:
    return RequestRefusedError(400, "invalid-json", f"The body is not JSON: {reason}.")


def _violation(what: str, faults: list[tuple[str, str]]) -> RequestRefusedError:
    faults = faults[:_MOST_FAULTS]
    named = ", ".join(field for field, _ in faults)
    return RequestRefusedError(
        422, "contract-violation", f"{what} the contract in: {named}. Correct it.", fields=faults
    )
