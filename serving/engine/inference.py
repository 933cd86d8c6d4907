"""One version's probabilities for a batch, in which no record harms another."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.engine.served_model import ServedModel

Record = Mapping[str, Any]


@dataclass(slots=True)
class Inference:
    """What a version gave."""

    probabilities: NDArray[np.float32]
    """Shape (records, labels); rows of failed records mean nothing."""

    errors: dict[int, Exception]
    """By row: why the version cannot answer it."""

    encode_seconds: float
    forward_seconds: float


def infer(served: ServedModel, records: Sequence[Record]) -> Inference:
    """Probabilities of the records.

    If the version raises, the batch is halved and tried again until the record that it cannot answer stands alone.
    """
    start = time.monotonic()
    try:
        batch = served.model.encode(records)
        encoded = time.monotonic()
        probabilities = served.model.forward(batch)
        done = time.monotonic()
        _check_shape(served, probabilities, len(records))
    except Exception as error:  # noqa: BLE001 - whatever one record breaks must not reach its neighbours
        if len(records) == 1:
            nothing = np.zeros((1, len(served.model.labels)), np.float32)
            return Inference(nothing, {0: error}, 0.0, time.monotonic() - start)
        middle = len(records) // 2
        return _joined(infer(served, records[:middle]), infer(served, records[middle:]), middle)
    errors: dict[int, Exception] = {}
    # One number tells in nearly every case; only then is each row looked at.
    if not np.isfinite(probabilities.sum()):
        for row in np.flatnonzero(~np.isfinite(probabilities).all(axis=1)).tolist():
            errors[row] = ArithmeticError(f"version {served.version} gave probabilities that are not finite")
    return Inference(probabilities, errors, encoded - start, done - encoded)


def _check_shape(served: ServedModel, probabilities: NDArray[np.float32], records: int) -> None:
    shape = (records, len(served.model.labels))
    if probabilities.shape != shape:
        raise ValueError(f"version {served.version} gave probabilities of shape {probabilities.shape}, not {shape}")


def _joined(first: Inference, second: Inference, middle: int) -> Inference:
    return Inference(
        np.concatenate([first.probabilities, second.probabilities]),
        first.errors | {middle + row: error for row, error in second.errors.items()},
        first.encode_seconds + second.encode_seconds,
        first.forward_seconds + second.forward_seconds,
    )
