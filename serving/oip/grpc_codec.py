"""Messages of the gRPC interface."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.message import DecodeError

from serving.errors import RequestRefusedError
from serving.oip.inference import InferResponse
from serving.oip.open_inference_pb2 import InferParameter, ModelInferRequest, ModelInferResponse
from serving.oip.postings import datatype_of
from serving.oip.request import InferRequest, check_id, refuse_shared_memory, requested, timeout_of
from serving.oip.tensors import FP64, InputTensor, from_raw, from_values, invalid, rows_of

_CONTENTS = {"FP64": "fp64_contents", "BYTES": "bytes_contents"}


def parse(content: bytes) -> ModelInferRequest:
    """The message in an RPC.

    Raises:
        RequestRefusedError: 400, it is none.
    """
    try:
        message: ModelInferRequest = ModelInferRequest.FromString(content)
    except DecodeError as error:
        raise RequestRefusedError(400, "invalid-body", "The message is no ModelInferRequest.") from error
    return message


def decode(message: ModelInferRequest, *, max_rows: int) -> InferRequest:
    """The request in a message.

    Args:
        message: As sent.
        max_rows: Rows that a tensor may have.

    Raises:
        RequestRefusedError: 400, the message does not keep to the protocol.
    """
    parameters = _parameters(message.parameters)
    outputs = [requested(output.name, _parameters(output.parameters), binary=True) for output in message.outputs]
    return InferRequest(
        message.model_name,
        message.model_version,
        check_id(message.id),
        timeout_of(parameters),
        _inputs(message, max_rows),
        outputs,
        binary=True,
    )


def encode(response: InferResponse) -> ModelInferResponse:
    """The message of a response; values are raw contents, as Triton's are."""
    message = ModelInferResponse(model_name=response.model, model_version=response.version, id=response.id)
    for tensor in response.outputs:
        message.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        message.raw_output_contents.append(tensor.raw())
    return message


def _inputs(message: ModelInferRequest, max_rows: int) -> list[InputTensor]:
    raw = message.raw_input_contents
    if raw and len(raw) != len(message.inputs):
        raise invalid(
            f"There are {len(message.inputs)} inputs and {len(raw)} raw_input_contents: give one for each input."
        )
    if not message.inputs:
        raise invalid("The request has no inputs.")
    tensors = []
    for number, tensor in enumerate(message.inputs):
        name = tensor.name
        refuse_shared_memory(name, tensor.parameters)
        datatype = datatype_of(name, tensor.datatype)
        rows = rows_of(name, tensor.shape, max_rows)
        if not raw:
            values = tensor.contents.fp64_contents if datatype == FP64 else tensor.contents.bytes_contents
            if len(tensor.contents.ListFields()) > 1 or not values:
                raise invalid(f"The tensor {name} has no {_CONTENTS[datatype]}, or others beside them.")
            tensors.append(from_values(name, datatype, rows, values))
        elif tensor.HasField("contents"):
            raise invalid(f"The tensor {name} has contents, and raw_input_contents are there, too.")
        else:
            tensors.append(from_raw(name, datatype, rows, raw[number]))
    return tensors


def _parameters(parameters: Mapping[str, InferParameter]) -> dict[str, Any]:
    found = {}
    for name, parameter in parameters.items():
        kind = parameter.WhichOneof("parameter_choice")
        found[name] = None if kind is None else getattr(parameter, kind)
    return found
