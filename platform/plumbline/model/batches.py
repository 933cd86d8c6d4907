"""Batches between the encoders and the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from plumbline.model.network import Bag
from plumbline.model.structured import EncodedFeatures
from plumbline.model.text import BLOCKS, Bags


@dataclass(frozen=True)
class EncodedBatch:
    """Pre-processed records: plain arrays, cheap to hand between threads or processes."""

    text: Bags

    features: EncodedFeatures

    def __len__(self) -> int:
        return len(self.features.numbers)


def tensors(batch: EncodedBatch) -> tuple[Bag, torch.Tensor, torch.Tensor]:
    """The network's arguments; they share the arrays' memory."""
    return bag(batch.text), torch.from_numpy(batch.features.numbers), torch.from_numpy(batch.features.categories)


def bag(text: Bags) -> Bag:
    """The text's part of the network's arguments."""
    # The table wants ids and offsets of one type.
    offsets = torch.from_numpy(text.offsets.astype(np.int32))
    return torch.from_numpy(text.ids), offsets, torch.from_numpy(text.weights)


def take(batch: EncodedBatch, rows: NDArray[np.int64]) -> EncodedBatch:
    """The given rows, in the given order."""
    features = EncodedFeatures(batch.features.numbers[rows], batch.features.categories[rows])
    return EncodedBatch(_take_bags(batch.text, rows), features)


def cut(batch: EncodedBatch, start: int, stop: int) -> EncodedBatch:
    """Rows `start` to `stop`, without copying."""
    bags, blocks = batch.text, len(BLOCKS)
    offsets = bags.offsets[start * blocks : stop * blocks + 1]
    first, last = offsets[0], offsets[-1]
    text = Bags(bags.ids[first:last], bags.weights[first:last], offsets - first)
    features = EncodedFeatures(batch.features.numbers[start:stop], batch.features.categories[start:stop])
    return EncodedBatch(text, features)


def join(batches: Sequence[EncodedBatch]) -> EncodedBatch:
    """All rows of several batches, one after the other."""
    sizes = np.concatenate([np.diff(batch.text.offsets) for batch in batches])
    text = Bags(
        np.concatenate([batch.text.ids for batch in batches]),
        np.concatenate([batch.text.weights for batch in batches]),
        np.concatenate(([0], np.cumsum(sizes))).astype(np.int64),
    )
    features = EncodedFeatures(
        np.concatenate([batch.features.numbers for batch in batches]),
        np.concatenate([batch.features.categories for batch in batches]),
    )
    return EncodedBatch(text, features)


def _take_bags(bags: Bags, rows: NDArray[np.int64]) -> Bags:
    taken = (rows[:, None] * len(BLOCKS) + np.arange(len(BLOCKS))).ravel()
    sizes = np.diff(bags.offsets)[taken]
    offsets = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
    places = np.arange(offsets[-1]) + np.repeat(bags.offsets[taken] - offsets[:-1], sizes)
    return Bags(bags.ids[places], bags.weights[places], offsets)
