"""Reads the one kind of object that Helm sends as protobuf: the Secrets that it keeps its releases in.

Field numbers are those of Kubernetes' published `generated.proto` of `core/v1` and `meta/v1`.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

_MAGIC = b"k8s\x00"


def read_secret(data: bytes) -> dict[str, Any]:
    """A Secret as the JSON API would carry it.

    Args:
        data: Body of a request: the envelope with a `runtime.Unknown` that holds a `core/v1` Secret.
    """
    if not data.startswith(_MAGIC):
        raise ValueError("not an object in Kubernetes' protobuf envelope")
    raw = next(value for field, value in _fields(data[len(_MAGIC) :]) if field == 2)
    secret: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret", "metadata": {"labels": {}}, "data": {}}
    for field, value in _fields(raw):
        if field == 1:
            secret["metadata"] |= _metadata(value)
        elif field == 2:
            key, content = _entry(value)
            secret["data"][key] = base64.b64encode(content).decode()
        elif field == 3:
            secret["type"] = value.decode()
    return secret


def _metadata(data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {"labels": {}}
    for field, value in _fields(data):
        if field in (1, 3):
            found["name" if field == 1 else "namespace"] = value.decode()
        elif field == 11:
            key, content = _entry(value)
            found["labels"][key] = content.decode()
    return found


def _entry(data: bytes) -> tuple[str, bytes]:
    """A map's entry: key in field 1, value in field 2."""
    fields = dict(_fields(data))
    return fields[1].decode(), fields.get(2, b"")


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and content of a message's length-delimited fields; numbers are skipped."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        if tag & 7 == 2:
            length, at = _varint(data, at)
            yield tag >> 3, data[at : at + length]
            at += length
        elif tag & 7 == 0:
            _, at = _varint(data, at)
        else:
            raise ValueError(f"wire type {tag & 7} does not occur in a Secret")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
