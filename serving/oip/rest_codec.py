"""Bodies of the REST interface: a JSON document, and behind it raw contents (binary tensor extension)."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import orjson
from pydantic_core import from_json

from serving.errors import RequestRefusedError
from serving.oip.inference import InferResponse
from serving.oip.outputs import OutputTensor
from serving.oip.postings import datatype_of
from serving.oip.request import InferRequest, check_id, refuse_shared_memory, requested, timeout_of
from serving.oip.tensors import InputTensor, from_raw, from_values, invalid, rows_of

HEADER_LENGTH = b"inference-header-content-length"
_WBITS = {b"gzip": 16 + zlib.MAX_WBITS, b"deflate": zlib.MAX_WBITS}


def decompress(body: bytes, encoding: bytes, limit: int) -> bytes:
    """The body as it was before it was compressed.

    Args:
        body: As received.
        encoding: The header Content-Encoding.
        limit: Bytes that it may have afterwards; no more are ever made of it.

    Raises:
        RequestRefusedError: 400 it is not whole, 413 it is larger than the limit, 415 the encoding is not known.
    """
    encoding = encoding.strip().lower()
    if encoding == b"identity":
        return body
    if encoding not in _WBITS:
        raise RequestRefusedError(415, "unsupported-media-type", "Compress the body with gzip or deflate, or not.")
    stream = zlib.decompressobj(_WBITS[encoding])
    try:
        plain = stream.decompress(body, limit + 1)
    except zlib.error as error:
        raise RequestRefusedError(400, "invalid-body", f"The body is not {encoding.decode()}: {error}.") from error
    if len(plain) > limit:
        raise RequestRefusedError(
            413, "body-too-large", f"The body is larger than {limit} bytes. Send fewer postings at once."
        )
    if not stream.eof or stream.unused_data:
        raise RequestRefusedError(400, "invalid-body", f"The body is not one whole {encoding.decode()} stream.")
    return plain


def decode(body: bytes, header_length: bytes | None, *, model: str, version: str, max_rows: int) -> InferRequest:
    """The request in a body.

    Args:
        body: As sent, not compressed.
        header_length: The header Inference-Header-Content-Length: bytes of the JSON document. None: all are.
        model: Of the path.
        version: Of the path; may be empty.
        max_rows: Rows that a tensor may have.

    Raises:
        RequestRefusedError: 400, the body does not keep to the protocol.
    """
    length = len(body) if header_length is None else _length(header_length, len(body))
    document = _document(body[:length])
    parameters = _parameters(document, "request")
    inputs = _inputs(document, _Rest(body, length), max_rows)
    binary = parameters.get("binary_data_output", False) is True
    outputs = [
        requested(output.get("name"), _parameters(output, "output"), binary=binary)
        for output in _objects(document, "outputs")
    ]
    request_id = document.get("id", "")
    if not isinstance(request_id, str):
        raise invalid("The request's id is not a text.")
    return InferRequest(model, version, check_id(request_id), timeout_of(parameters), inputs, outputs, binary)


def encode(response: InferResponse) -> tuple[bytes, int | None]:
    """The body of a response, and the length of its JSON document if raw contents follow it."""
    contents: list[bytes] = []
    document: dict[str, Any] = {"model_name": response.model}
    if response.version:
        document["model_version"] = response.version
    if response.id:
        document["id"] = response.id
    document["outputs"] = [_output(tensor, contents) for tensor in response.outputs]
    header = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    return (b"".join((header, *contents)), len(header)) if contents else (header, None)


class _Rest:
    """What follows the JSON document, taken from its front."""

    def __init__(self, body: bytes, start: int) -> None:
        self._body = body
        self._start = start

    @property
    def left(self) -> int:
        return len(self._body) - self._start

    def take(self, size: int) -> bytes:
        start = self._start
        self._start += size
        return self._body[start : self._start]


def _inputs(document: Mapping[str, Any], rest: _Rest, max_rows: int) -> list[InputTensor]:
    tensors = []
    for tensor in _objects(document, "inputs"):
        name = tensor.get("name")
        if not isinstance(name, str):
            raise invalid("An input has no name.")
        parameters = _parameters(tensor, name)
        refuse_shared_memory(name, parameters)
        datatype = datatype_of(name, tensor.get("datatype"))
        shape = tensor.get("shape")
        rows = rows_of(name, shape if isinstance(shape, list) else [], max_rows)
        size = parameters.get("binary_data_size")
        if size is None:
            data = tensor.get("data")
            if not isinstance(data, list):
                raise invalid(f"The tensor {name} has neither data nor binary_data_size.")
            tensors.append(from_values(name, datatype, rows, data))
            continue
        if "data" in tensor:
            raise invalid(f"The tensor {name} has both data and binary_data_size.")
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= rest.left:
            raise invalid(f"The tensor {name} claims binary_data_size {size!s:.20}; {rest.left} bytes are left for it.")
        tensors.append(from_raw(name, datatype, rows, rest.take(size)))
    if not tensors:
        raise invalid("The request has no inputs.")
    if rest.left:
        raise invalid(f"The body holds {rest.left} bytes more than its tensors claim.")
    return tensors


def _output(tensor: OutputTensor, contents: list[bytes]) -> dict[str, Any]:
    written: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape}
    if tensor.binary:
        raw = tensor.raw()
        contents.append(raw)
        written["parameters"] = {"binary_data_size": len(raw)}
    else:
        written["data"] = tensor.flat()
    return written


def _length(header: bytes, size: int) -> int:
    # Digits are counted first: a number of many is not worth converting.
    if not header.isdigit() or len(header) > len(str(size)) or not 0 < int(header) <= size:
        raise RequestRefusedError(
            400,
            "invalid-header",
            f"The header Inference-Header-Content-Length has a wrong value: give the bytes of the JSON document, up to "
            f"the body's {size}.",
        )
    return int(header)


def _document(text: bytes) -> dict[str, Any]:
    try:
        # Not orjson: NaN is how a client of this protocol leaves a number out, in JSON too. It refuses what lies more
        # than 200 deep; what is read below lies four deep, and nothing else is looked at.
        document = from_json(text, allow_inf_nan=True)
    except ValueError as error:
        raise RequestRefusedError(400, "invalid-json", f"The body is not JSON: {error}.") from error
    if not isinstance(document, dict):
        raise invalid("The body is not a JSON object.")
    return document


def _objects(document: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    found = document.get(name, [])
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise invalid(f"The request's {name} are not a list of objects.")
    return found


def _parameters(item: Mapping[str, Any], what: str) -> dict[str, Any]:
    found = item.get("parameters", {})
    if not isinstance(found, dict):
        raise invalid(f"The parameters of {what} are not an object.")
    return found
