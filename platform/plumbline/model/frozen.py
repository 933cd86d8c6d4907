"""The trained network, for inference: its arithmetic on arrays.

At the batch sizes of serving an operator costs more than its arithmetic, and numpy's cost a third of torch's. So only
the sum over n-grams, where the work is, stays torch's kernel (which leaves the interpreter lock to others meanwhile).
Of a batch of 4, µs of CPU: 195 for the module, 87 for its frozen TorchScript graph, 60 for this (docs/model.md).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from plumbline.model.batches import EncodedBatch, bag
from plumbline.model.network import PostingNetwork

Floats = NDArray[np.float32]


class FrozenNetwork:
    """What a `PostingNetwork` in evaluation mode computes, to rounding. Immutable; safe to share between threads."""

    def __init__(self, network: PostingNetwork) -> None:
        self._classes = network.classes
        self._blocks = len(network.vocabulary)
        self._table = network.table.weight.detach()
        self._categories = _array(network.categories.weight)
        self._numbers = None if network.numbers is None else _array(network.numbers.weight).T.copy()
        self._bias = _array(network.bias)
        self._layers = (
            []
            if network.deep is None
            else [
                (_array(layer.weight).T.copy(), _array(layer.bias))
                for layer in network.deep
                if isinstance(layer, nn.Linear)
            ]
        )

    def scores(self, batch: EncodedBatch) -> Floats:
        """Class scores before calibration, shape [records, classes]."""
        rows, classes = len(batch), self._classes
        ids, offsets, weights = bag(batch.text)
        sums = torch.embedding_bag(self._table, ids, offsets, False, 0, False, weights, True)[0]
        parts = np.empty((rows, self._blocks + 1, self._table.shape[1]), np.float32)
        parts[:, :-1] = sums.numpy().reshape(parts[:, :-1].shape)
        structured = parts[:, -1]
        np.add.reduce(self._categories[batch.features.categories], 1, out=structured)
        if self._numbers is not None:
            structured += batch.features.numbers @ self._numbers
        scores: Floats = np.add.reduce(parts[:, :, :classes], 1)
        scores += self._bias
        if self._layers:
            hidden = parts[:, :, classes:].reshape(rows, len(self._layers[0][0]))
            for weight, bias in self._layers:
                hidden = np.maximum(hidden, 0.0) @ weight
                hidden += bias
            scores += hidden
        return scores


def _array(parameter: Any) -> Floats:
    array: Floats = parameter.detach().numpy()
    return array
