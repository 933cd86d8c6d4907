"""Output tensors of answers."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serving.engine.query import Answer
from serving.oip.request import RequestedOutput
from serving.oip.tensors import BYTES, FP64, invalid

BOOL = "BOOL"
FP32 = "FP32"
PROBABILITIES = "probabilities"
DATATYPES = {
    "label": BYTES,
    "probability": FP64,
    PROBABILITIES: FP32,
    "degraded": BOOL,
    "request_id": BYTES,
    "model_version": BYTES,
}
"""Datatype of each output by its name."""

_LENGTH = struct.Struct("<I")


@dataclass(slots=True)
class OutputTensor:
    """One output of all rows."""

    name: str
    datatype: str
    shape: list[int]
    values: list[str] | list[float] | list[bool] | NDArray[np.float32]
    """Flat, but for the probabilities."""

    binary: bool

    def raw(self) -> bytes:
        """Raw contents: little-endian, row-major; BYTES with the length before each element."""
        if isinstance(self.values, np.ndarray):
            return self.values.astype("<f4", copy=False).tobytes()
        if self.datatype == BYTES:
            encoded = [str(value).encode() for value in self.values]
            return b"".join(part for value in encoded for part in (_LENGTH.pack(len(value)), value))
        if self.datatype == FP64:
            return struct.pack(f"<{len(self.values)}d", *self.values)
        return bytes(self.values)  # type: ignore[arg-type]  # of the booleans

    def flat(self) -> list[str] | list[float] | list[bool] | NDArray[np.float32]:
        """Values of a JSON document: row-major, one dimension."""
        return self.values.ravel() if isinstance(self.values, np.ndarray) else self.values


def check(outputs: Sequence[RequestedOutput]) -> None:
    """Before anything is computed.

    Raises:
        RequestRefusedError: An output is not known, is named twice, or has no classes.
    """
    names = [output.name for output in outputs]
    for output in outputs:
        if output.name not in DATATYPES:
            raise invalid(f"There is no output {output.name[:64]!r}. Outputs are: {', '.join(DATATYPES)}.")
        if names.count(output.name) > 1:
            raise invalid(f"The output {output.name} is requested twice.")
        if output.classes is not None and output.name != PROBABILITIES:
            raise invalid(f"The output {output.name} has no classes. Request {PROBABILITIES} with classification.")


def tensors_of(answers: Sequence[Answer], outputs: Sequence[RequestedOutput], *, binary: bool) -> list[OutputTensor]:
    """The requested outputs in their order, or all.

    Args:
        answers: One per row, at least one.
        outputs: Checked ones; none is all.
        binary: Whether all are to be raw contents, where none is requested.
    """
    wanted = outputs or [RequestedOutput(name, binary, None) for name in DATATYPES]
    return [_tensor(answers, output) for output in wanted]


def _tensor(answers: Sequence[Answer], output: RequestedOutput) -> OutputTensor:
    rows = len(answers)
    name = output.name
    if name == PROBABILITIES:
        if output.classes is not None:
            count = min(output.classes, *(len(answer.labels) for answer in answers))
            classes = [text for answer in answers for text in _classes(answer, count)]
            return OutputTensor(name, BYTES, [rows, count], classes, output.binary)
        matrix = _matrix(answers)
        return OutputTensor(name, FP32, list(matrix.shape), matrix, output.binary)
    values: list[str] | list[float] | list[bool]
    if name == "degraded":
        values = [bool(answer.degraded_reasons) for answer in answers]
    else:
        values = [getattr(answer, name) for answer in answers]
    return OutputTensor(name, DATATYPES[name], [rows], values, output.binary)


def _matrix(answers: Sequence[Answer]) -> NDArray[np.float32]:
    """Probabilities, shape (rows, labels), in the order of the champion's labels.

    A canary that was trained on other classes has its probabilities under the labels that both know, and NaN under
    those that it does not.
    """
    if len(answers) == 1:
        return answers[0].probabilities[np.newaxis]
    labels = next((answer for answer in answers if answer.role == "champion"), answers[0]).labels
    return np.stack([_under(labels, answer) for answer in answers])


def _under(labels: Sequence[str], answer: Answer) -> NDArray[np.float32]:
    if answer.labels is labels or list(answer.labels) == list(labels):
        return answer.probabilities
    by_label = dict(zip(answer.labels, answer.probabilities, strict=True))
    return np.array([by_label.get(label, np.nan) for label in labels], dtype=np.float32)


def _classes(answer: Answer, count: int) -> list[str]:
    """Classification extension: `value:index:label` of the most probable classes, the best first."""
    best = np.argsort(-answer.probabilities, kind="stable")[:count]
    return [f"{answer.probabilities[index]:f}:{index}:{answer.labels[index]}" for index in best]
