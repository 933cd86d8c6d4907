"""Fitting the network's weights to encoded rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plumbline.model.batches import EncodedBatch, cut, take, tensors
from plumbline.model.network import Bag, PostingNetwork
from plumbline.model.structured import FeatureEncoder
from plumbline.model.text import TextEncoder
from plumbline.settings.model import ModelSettings

Score = Callable[[EncodedBatch], NDArray[np.float32]]
Watch = Callable[[int, float, Score], dict[str, Any]]

_WARM_UP: Final = 0.05
_STRUCTURED: Final = ("numbers.", "categories.")


@dataclass(frozen=True)
class Rows:
    """Rows to fit to."""

    encoded: EncodedBatch
    codes: NDArray[np.int64]
    weights: NDArray[np.float32]
    """Weight of each row in the loss."""


@dataclass(frozen=True)
class Fitted:
    """A fitted network, in evaluation mode."""

    network: PostingNetwork
    history: list[dict[str, Any]]

    def scores(self, batch: EncodedBatch) -> NDArray[np.float32]:
        """Scores before calibration, shape [rows, classes]."""
        return _score(self.network, batch)


def fit(
    rows: Rows,
    *,
    text: TextEncoder,
    features: FeatureEncoder,
    classes: int,
    config: ModelSettings,
    watch: Watch | None = None,
) -> Fitted:
    """Fits a new network.

    The learning rate falls to zero over a fixed number of epochs, which makes the last one the best within noise
    and spares a search for the moment to stop.

    Args:
        rows: What to fit to.
        text: The rows' text encoder.
        features: The rows' feature encoder.
        classes: Number of classes.
        config: Settings.
        watch: Called after each epoch with its number, mean loss and a scoring function; returns what to remember.
    """
    generator = np.random.default_rng(config.seed)
    with torch.random.fork_rng(devices=[]), arithmetic(config.threads):
        torch.manual_seed(config.seed)
        network = PostingNetwork(
            vocabulary=text.sizes,
            classes=classes,
            numbers=features.number_count,
            categories=features.category_count,
            deep_dim=config.deep_dim,
            hidden_dim=config.hidden_dim,
            hidden_dropout=config.hidden_dropout,
            structured_dropout=config.structured_dropout,
        )
        optimiser = torch.optim.Adam(_groups(network, config), lr=config.learning_rate, fused=True)
        steps = config.epochs * -(-len(rows.codes) // config.batch_size)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: rate(step, steps))
        history = []
        for epoch in range(1, config.epochs + 1):
            network.train()
            loss = _epoch(network, optimiser, schedule, rows, generator, config)
            if watch is not None:
                history.append(watch(epoch, loss, lambda batch: _score(network, batch)))
    return Fitted(network.eval(), history)


@contextmanager
def arithmetic(threads: int) -> Iterator[None]:
    """Sets the number of threads, and takes denormal numbers for zero.

    Under the L2 penalty the weights of n-grams without a say shrink into denormal numbers, which are many times slower.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(before)


def squared_hinge(scores: Tensor, codes: Tensor) -> Tensor:
    """One-against-rest squared hinge loss per row: a linear SVM's, which beats cross-entropy on these texts.

    With noisy labels it matters that rows beyond the margin stop pulling.
    """
    signs = torch.full_like(scores, -1.0)
    signs.scatter_(1, codes[:, None], 1.0)
    return torch.relu(1.0 - signs * scores).square().sum(1)


def _groups(network: PostingNetwork, config: ModelSettings) -> list[dict[str, Any]]:
    """Parameters with their penalty. It is part of the gradient (L2, not AdamW's decay): with the squared hinge loss
    the linear part then tends to a linear SVM's solution, half a point of accuracy above decoupled decay.
    """
    structured = [parameter for name, parameter in network.named_parameters() if name.startswith(_STRUCTURED)]
    text = [parameter for name, parameter in network.named_parameters() if not name.startswith(_STRUCTURED)]
    return [
        {"params": text, "weight_decay": config.l2},
        {"params": structured, "weight_decay": config.structured_l2},
    ]


def _epoch(
    network: PostingNetwork,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LambdaLR,
    rows: Rows,
    generator: np.random.Generator,
    config: ModelSettings,
) -> float:
    order = generator.permutation(len(rows.codes))
    encoded = take(rows.encoded, order)
    codes = torch.from_numpy(rows.codes[order])
    weights = torch.from_numpy(rows.weights[order])
    total = 0.0
    for start in range(0, len(order), config.batch_size):
        stop = min(start + config.batch_size, len(order))
        bag, numbers, categories = tensors(cut(encoded, start, stop))
        scores = network(_thinned(bag, config.ngram_dropout), numbers, categories)
        loss = (squared_hinge(scores, codes[start:stop]) * weights[start:stop]).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        total += float(loss.detach()) * (stop - start)
    return total / len(order)


def _thinned(bag: Bag, share: float) -> Bag:
    ids, offsets, weights = bag
    return ids, offsets, torch.nn.functional.dropout(weights, share)


def rate(step: int, steps: int) -> float:
    warm = max(1, int(_WARM_UP * steps))
    return (step + 1) / warm if step < warm else max(0.0, (steps - step) / (steps - warm))


def _score(network: PostingNetwork, batch: EncodedBatch) -> NDArray[np.float32]:
    network.eval()
    with torch.inference_mode():
        scores: NDArray[np.float32] = network(*tensors(batch)).numpy()
    return scores
