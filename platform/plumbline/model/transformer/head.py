"""What stands on the encoder: a linear layer over the text's embedding, and one over the structured features."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class PostingHead(nn.Module):
    """Class scores before calibration. Structured features start at zero: each must earn its weight."""

    def __init__(self, *, width: int, classes: int, numbers: int, categories: int) -> None:
        """Args:
        width: Of the embeddings.
        classes: Classes.
        numbers: Numeric features.
        categories: Ids of categorical values, the id 0 of "not stated" among them.
        """
        super().__init__()
        self.text = nn.Linear(width, classes)
        self.numbers = nn.Linear(numbers, classes, bias=False)
        self.categories = nn.Embedding(categories, classes, padding_idx=0)
        with torch.no_grad():
            for weight in (self.text.weight, self.text.bias, self.numbers.weight, self.categories.weight):
                weight.zero_()

    def forward(self, embeddings: Tensor, numbers: Tensor, categories: Tensor, shown: Tensor | None = None) -> Tensor:
        """Scores, shape [rows, classes].

        Args:
            embeddings: Shape [rows, width].
            numbers: Shape [rows, numeric features].
            categories: Shape [rows, categorical features], ids.
            shown: Shape [rows, 1]: 0 where training hides the structured features.
        """
        # Only the direction counts, as where the encoder was pretrained; its coordinates are of the order of 1.
        direction = functional.normalize(embeddings, dim=1) * embeddings.shape[1] ** 0.5
        structured = self.categories(categories).sum(1) + self.numbers(numbers)
        scores: Tensor = self.text(direction) + (structured if shown is None else structured * shown)
        return scores
