"""An inference request, whichever way it came."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serving.http.headers import MAX_BUDGET_MS, MAX_ID_CHARACTERS
from serving.oip.tensors import InputTensor, invalid

Parameters = Mapping[str, Any]


@dataclass(slots=True)
class RequestedOutput:
    """An output that the client wants."""

    name: str
    binary: bool
    """Whether its values follow the JSON document as raw contents."""

    classes: int | None
    """Classification extension: so many of the most probable classes in place of the tensor."""


@dataclass(slots=True)
class InferRequest:
    """What a client asks."""

    model: str
    version: str
    """Empty: the served version."""

    id: str
    timeout: float
    """Seconds, of the parameter `timeout`; infinite without it."""

    inputs: Sequence[InputTensor]
    outputs: Sequence[RequestedOutput]
    """Empty: all."""

    binary: bool
    """Whether outputs that are not named are returned as raw contents."""


def check_id(value: str) -> str:
    """The id as the client gave it, which may be empty.

    Raises:
        RequestRefusedError: It is too long.
    """
    if len(value) > MAX_ID_CHARACTERS:
        raise invalid(f"The request's id is longer than {MAX_ID_CHARACTERS} characters. Send a shorter one.")
    return value


def timeout_of(parameters: Parameters) -> float:
    """Seconds that the parameter `timeout` gives, in microseconds: a minute at most; 0 is none, as in Triton.

    Raises:
        RequestRefusedError: It is no whole number of microseconds, or the request is one of a sequence.
    """
    # Ignoring these would be a wrong answer; ignoring `priority` or a parameter of the client's own is not.
    if parameters.get("sequence_id"):
        raise invalid("The request belongs to a sequence. Postings are classified each by itself: leave sequence_id.")
    timeout = parameters.get("timeout")
    if not timeout:
        return math.inf
    if not isinstance(timeout, int) or isinstance(timeout, bool) or timeout < 0:
        raise invalid("The parameter timeout is not a number of microseconds.")
    return min(timeout, 1000 * MAX_BUDGET_MS) / 1e6


def requested(name: Any, parameters: Parameters, *, binary: bool) -> RequestedOutput:
    """A requested output.

    Raises:
        RequestRefusedError: A parameter asks for what there is not.
    """
    if not isinstance(name, str):
        raise invalid("A requested output has no name.")
    refuse_shared_memory(name, parameters)
    classes = parameters.get("classification")
    if classes is not None and (not isinstance(classes, int) or isinstance(classes, bool) or classes < 1):
        raise invalid(f"The output {name} asks for no number of classes: give classification from 1.")
    return RequestedOutput(name, bool(parameters.get("binary_data", binary)), classes)


def refuse_shared_memory(name: str, parameters: Parameters) -> None:
    """Raises `RequestRefusedError` where a tensor's values are said to be in shared memory."""
    if "shared_memory_region" in parameters:
        raise invalid(f"The tensor {name} is in shared memory, which this server does not read. Send its values.")
