"""Settings of the classifier and its training."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


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
