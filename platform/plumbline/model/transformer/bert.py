"""BERT's encoder (Devlin et al., NAACL 2019) in plain torch: serving needs neither transformers nor its import.

Weights are read from the files that transformers writes. Queries, keys and values are one layer here, and the type of
the segment, which is the same throughout, is part of the positions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class BertShape:
    """Sizes of an encoder."""

    vocabulary: int
    positions: int
    """Longest text, tokens."""
    width: int
    layers: int
    heads: int
    inner: int
    """Width of the layers between."""
    epsilon: float

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> BertShape:
        """From a `config.json` of transformers.

        Raises:
            ValueError: It describes another kind of encoder.
        """
        if config.get("model_type") != "bert" or config.get("hidden_act") != "gelu":
            raise ValueError(f"the encoder is {config.get('model_type')!r} with {config.get('hidden_act')!r}, not BERT")
        return cls(
            vocabulary=int(config["vocab_size"]),
            positions=int(config["max_position_embeddings"]),
            width=int(config["hidden_size"]),
            layers=int(config["num_hidden_layers"]),
            heads=int(config["num_attention_heads"]),
            inner=int(config["intermediate_size"]),
            epsilon=float(config["layer_norm_eps"]),
        )


class BertLayer(nn.Module):
    """Self-attention and a two-layer network, each added to its input and normalised."""

    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.qkv = nn.Linear(shape.width, 3 * shape.width)
        self.out = nn.Linear(shape.width, shape.width)
        self.out_norm = nn.LayerNorm(shape.width, eps=shape.epsilon)
        self.up = nn.Linear(shape.width, shape.inner)
        self.down = nn.Linear(shape.inner, shape.width)
        self.down_norm = nn.LayerNorm(shape.width, eps=shape.epsilon)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Shape [rows, tokens, width] in and out; `mask` (true: look at it) [rows, 1, 1, tokens]."""
        rows, tokens, width = x.shape
        q, k, v = self.qkv(x).view(rows, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        seen = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = self.out_norm(x + self.out(seen.transpose(1, 2).reshape(rows, tokens, width)))
        normal: Tensor = self.down_norm(x + self.down(functional.gelu(self.up(x))))
        return normal


class Bert(nn.Module):
    """Token ids in, the mean of the tokens' vectors out."""

    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.shape = shape
        self.words = nn.Embedding(shape.vocabulary, shape.width)
        self.positions = nn.Embedding(shape.positions, shape.width)
        self.norm = nn.LayerNorm(shape.width, eps=shape.epsilon)
        self.layers = nn.ModuleList([BertLayer(shape) for _ in range(shape.layers)])

    def forward(self, ids: Tensor, present: Tensor | None = None) -> Tensor:
        """Mean-pooled embeddings, shape [rows, width].

        Args:
            ids: Shape [rows, tokens].
            present: Which tokens are no padding, same shape; None: all.
        """
        tokens = ids.shape[1]
        x = self.norm(self.words(ids) + self.positions.weight[:tokens])
        mask = None if present is None else present[:, None, None, :]
        for layer in self.layers:
            x = layer(x, mask)
        vectors: Tensor = x.float()
        if present is None:
            return vectors.mean(1)
        share = present.float().unsqueeze(2)
        return (vectors * share).sum(1) / share.sum(1)


def converted(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A `Bert`'s weights, from those of transformers' BertModel (its pooler is left out).

    Raises:
        KeyError: A weight is missing.
    """
    found = {
        "words.weight": weights["embeddings.word_embeddings.weight"],
        "positions.weight": weights["embeddings.position_embeddings.weight"]
        + weights["embeddings.token_type_embeddings.weight"][0],
        "norm.weight": weights["embeddings.LayerNorm.weight"],
        "norm.bias": weights["embeddings.LayerNorm.bias"],
    }
    layers = {name.split(".")[2] for name in weights if name.startswith("encoder.layer.")}
    for layer in layers:
        theirs, ours = f"encoder.layer.{layer}.", f"layers.{layer}."
        for kind in ("weight", "bias"):
            parts = [weights[f"{theirs}attention.self.{name}.{kind}"] for name in ("query", "key", "value")]
            found[f"{ours}qkv.{kind}"] = torch.cat(parts)
            for mine, name in _LAYERS.items():
                found[f"{ours}{mine}.{kind}"] = weights[f"{theirs}{name}.{kind}"]
    return found


_LAYERS = {
    "out": "attention.output.dense",
    "out_norm": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "down_norm": "output.LayerNorm",
}
