"""Batches between the encoders and the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from plumbline.model.network import Bag
from plumbline.model.structured import EncodedFeatures
from plumbline.model.text import Bags


@dataclass(frozen=True)
class EncodedBatch:
    """Pre-processed records: plain arrays, cheap to hand between threads or processes."""

    text: list[Bags]
    """One per block."""

    features: EncodedFeatures

    def __len__(self) -> int:
        return len(self.features.numbers)


def tensors(batch: EncodedBatch) -> tuple[list[Bag], torch.Tensor, torch.Tensor]:
    """The network's arguments; they share the arrays' memory."""
    bags = [
        (torch.from_numpy(bag.ids), torch.from_numpy(bag.offsets).int(), torch.from_numpy(bag.weights))
        for bag in batch.text
    ]
    return bags, torch.from_numpy(batch.features.numbers), torch.from_numpy(batch.features.categories)


def take(batch: EncodedBatch, rows: NDArray[np.int64]) -> EncodedBatch:
    """The given rows, in the given order."""
    features = EncodedFeatures(batch.features.numbers[rows], batch.features.categories[rows])
    return EncodedBatch([_take_bags(bags, rows) for bags in batch.text], features)


def cut(batch: EncodedBatch, start: int, stop: int) -> EncodedBatch:
    """Rows `start` to `stop`, without copying."""
    text = []
    for bags in batch.text:
        first, last = bags.offsets[start], bags.offsets[stop]
        text.append(Bags(bags.ids[first:last], bags.weights[first:last], bags.offsets[start : stop + 1] - first))
    features = EncodedFeatures(batch.features.numbers[start:stop], batch.features.categories[start:stop])
    return EncodedBatch(text, features)


def join(batches: Sequence[EncodedBatch]) -> EncodedBatch:
    """All rows of several batches, one after the other."""
    text = []
    for pieces in zip(*(batch.text for batch in batches), strict=True):
        sizes = np.concatenate([np.diff(piece.offsets) for piece in pieces])
        text.append(
            Bags(
                np.concatenate([piece.ids for piece in pieces]),
                np.concatenate([piece.weights for piece in pieces]),
                np.concatenate(([0], np.cumsum(sizes))).astype(np.int64),
            )
        )
    features = EncodedFeatures(
        np.concatenate([batch.features.numbers for batch in batches]),
        np.concatenate([batch.features.categories for batch in batches]),
    )
    return EncodedBatch(text, features)


def _take_bags(bags: Bags, rows: NDArray[np.int64]) -> Bags:
    sizes = np.diff(bags.offsets)[rows]
    offsets = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
    places = np.arange(offsets[-1]) + np.repeat(bags.offsets[rows] - offsets[:-1], sizes)
    return Bags(bags.ids[places], bags.weights[places], offsets)
