"""The network: a linear part over hashed n-grams, and a small deep part over their embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn

Bag = tuple[Tensor, Tensor, Tensor]
"""Ids [n-grams], offsets [rows * blocks + 1] and weights [n-grams]; see `plumbline.model.text.Bags`."""

_DEEP_START: Final = 0.1
_NUMBER_START: Final = 0.01


class PostingNetwork(nn.Module):
    """Wide and deep (Cheng et al., DLRS 2016): one embedding row holds an n-gram's class weights and its embedding.

    The wide part starts at zero: at first the model is linear, and every n-gram must earn its weight.
    """

    def __init__(
        self,
        *,
        vocabulary: Sequence[int],
        classes: int,
        numbers: int,
        categories: int,
        deep_dim: int,
        hidden_dim: int,
        hidden_dropout: float = 0.0,
        structured_dropout: float = 0.0,
    ) -> None:
        """Args:
        vocabulary: N-grams of each block.
        classes: Classes.
        numbers: Numeric features.
        categories: Ids of categorical values, the id 0 of "not stated" among them.
        deep_dim: Width of an embedding; 0 leaves the deep part out.
        hidden_dim: Width of the deep part's hidden layer.
        hidden_dropout: Share of hidden units dropped in training.
        structured_dropout: Share of rows whose structured features are hidden in training.
        """
        super().__init__()
        width = classes + deep_dim
        self.classes = classes
        self.deep_dim = deep_dim
        self.hidden_dim = hidden_dim
        self.structured_dropout = structured_dropout
        self.vocabulary = list(vocabulary)
        # One table for all blocks: one call sums them all. It needs a row even when nothing was kept.
        self.table = nn.EmbeddingBag(max(sum(vocabulary), 1), width, mode="sum", include_last_offset=True)
        self.numbers = nn.Linear(numbers, width, bias=False) if numbers else None
        self.categories = nn.Embedding(categories, width, padding_idx=0)
        self.bias = nn.Parameter(torch.zeros(classes))
        bags = len(vocabulary) + 1
        self.deep = (
            nn.Sequential(
                nn.ReLU(),
                nn.Dropout(hidden_dropout),
                nn.Linear(deep_dim * bags, hidden_dim),
                nn.ReLU(),
                nn.Dropout(hidden_dropout),
                nn.Linear(hidden_dim, classes),
            )
            if deep_dim
            else None
        )
        self._initialise()

    def _initialise(self) -> None:
        with torch.no_grad():
            for table in (self.table, self.categories):
                weight = table.weight
                assert isinstance(weight, Tensor)
                weight[:, : self.classes] = 0
                weight[:, self.classes :].normal_(std=_DEEP_START)
            self.categories.weight[0] = 0
            if self.numbers is not None:
                self.numbers.weight.normal_(std=_NUMBER_START)

    def forward(self, bag: Bag, numbers: Tensor, categories: Tensor) -> Tensor:
        """Class scores before calibration, shape [rows, classes].

        Args:
            bag: All blocks of all rows.
            numbers: Shape [rows, numeric features].
            categories: Shape [rows, categorical features], ids.
        """
        ids, offsets, weights = bag
        text = self.table(ids, offsets, per_sample_weights=weights).unflatten(0, (len(numbers), len(self.vocabulary)))
        structured = self.categories(categories).sum(1)
        if self.numbers is not None:
            structured = structured + self.numbers(numbers)
        if self.training and self.structured_dropout:
            shown = torch.rand(len(structured), 1) >= self.structured_dropout
            structured = structured * shown
        parts = torch.cat([text, structured.unsqueeze(1)], 1)
        scores: Tensor = self.bias + parts[:, :, : self.classes].sum(1)
        if self.deep is not None:
            scores = scores + self.deep(parts[:, :, self.classes :].flatten(1))
        return scores
