"""Fits head and, with LoRA, attention layers to encoded rows."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from plumbline.errors import MissingInputError, SettingsError
from plumbline.model.fitting import arithmetic, rate
from plumbline.model.structured import FeatureEncoder
from plumbline.model.transformer.bert import Bert
from plumbline.model.transformer.device import encoded as embed
from plumbline.model.transformer.head import PostingHead
from plumbline.settings.model import ModelSettings

Watch = Callable[[int, float, NDArray[np.float32]], None]

_EMBED_ROWS = 32
_DECAY = 0.01


@dataclass(frozen=True)
class Rows:
    """Rows to fit to."""

    parts: Sequence[Any]
    """`EncodedPostings`, one after the other."""

    codes: NDArray[np.int64]
    weights: NDArray[np.float32]
    """Weight of each row in the loss."""


@dataclass(frozen=True)
class Fitted:
    """What came out."""

    encoder: Bert
    head: PostingHead
    scores: NDArray[np.float32]
    """Of the watched rows, before calibration, shape [rows, classes]."""
    device: torch.device


@dataclass(frozen=True)
class _Inputs:
    """Rows on the device, texts excepted."""

    tokens: list[tuple[NDArray[np.int64], int]]
    """Ids and length of each row."""
    numbers: Tensor
    categories: Tensor

    @classmethod
    def of(cls, parts: Sequence[Any], device: torch.device) -> _Inputs:
        return cls(
            [row for part in parts for row in zip(part.tokens.ids, part.tokens.lengths.tolist(), strict=True)],
            torch.from_numpy(np.concatenate([part.features.numbers for part in parts])).to(device),
            torch.from_numpy(np.concatenate([part.features.categories for part in parts])).to(device),
        )

    def texts(self, rows: NDArray[np.int64], device: torch.device) -> tuple[Tensor, Tensor]:
        """Padded ids and lengths of some rows."""
        lengths = np.array([self.tokens[row][1] for row in rows.tolist()], dtype=np.int64)
        ids = np.zeros((len(rows), int(lengths.max(initial=1))), dtype=np.int64)
        for place, row in enumerate(rows.tolist()):
            ids[place, : lengths[place]] = self.tokens[row][0][: lengths[place]]
        return torch.from_numpy(ids).to(device), torch.from_numpy(lengths).to(device)


def fit(
    encoder: Bert,
    rows: Rows,
    *,
    classes: int,
    features: FeatureEncoder,
    config: ModelSettings,
    watched: Any,
    watch: Watch | None = None,
) -> Fitted:
    """Fits a new head, and a copy of the encoder where `model.transformer.lora_rank` is not 0.

    Args:
        encoder: Pretrained; stays as it is.
        rows: What to fit to.
        classes: Number of classes.
        features: The rows' feature encoder.
        config: Settings.
        watched: Encoded rows that are scored after each epoch.
        watch: Called after each epoch with its number, mean loss and the watched rows' scores.

    Raises:
        MissingInputError: peft is not installed, and `lora_rank` is not 0.
        SettingsError: `model.runtime.device` is cuda, and there is no GPU.
    """
    device = _device(config)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), arithmetic(config.threads):
        torch.manual_seed(config.seed)
        head = PostingHead(
            width=encoder.shape.width,
            classes=classes,
            numbers=features.number_count,
            categories=features.category_count,
        ).to(device)
        own = copy.deepcopy(encoder).to(device).eval().requires_grad_(False)
        inputs, shown = _Inputs.of(rows.parts, device), _Inputs.of([watched], device)
        if config.transformer.lora_rank:
            own, scores = _fit_layers(own, head, inputs, rows, shown, config, watch)
        else:
            scores = _fit_head(own, head, inputs, rows, shown, config, watch)
    return Fitted(own, head, scores, device)


def _fit_head(
    encoder: Bert,
    head: PostingHead,
    inputs: _Inputs,
    rows: Rows,
    shown: _Inputs,
    config: ModelSettings,
    watch: Watch | None,
) -> NDArray[np.float32]:
    """On embeddings that are made once. The learning rate falls to zero, as in the n-gram model's training."""
    settings = config.transformer
    embeddings, watched = (_embedded(encoder, part, encoder.shape.width) for part in (inputs, shown))
    optimiser = torch.optim.AdamW(head.parameters(), lr=settings.head_learning_rate, weight_decay=_DECAY)
    batches = _Batches(rows, config, settings.head_epochs, config.batch_size, embeddings.device)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: rate(step, batches.steps))
    scores = np.zeros((0, head.text.out_features), np.float32)
    for epoch in range(1, settings.head_epochs + 1):
        total = 0.0
        for places, codes, weights, show in batches:
            at = torch.from_numpy(places).to(embeddings.device)
            loss = _loss(head(embeddings[at], inputs.numbers[at], inputs.categories[at], show), codes, weights)
            total += _step(loss, optimiser, schedule) * len(places)
        with torch.inference_mode():
            scores = head(watched, shown.numbers, shown.categories).cpu().numpy()
        if watch is not None:
            watch(epoch, total / len(rows.codes), scores)
    return scores


def _fit_layers(
    encoder: Bert,
    head: PostingHead,
    inputs: _Inputs,
    rows: Rows,
    shown: _Inputs,
    config: ModelSettings,
    watch: Watch | None,
) -> tuple[Bert, NDArray[np.float32]]:
    """Head and attention layers together: low-rank updates (Hu et al., ICLR 2022), added to the weights at the end."""
    settings = config.transformer
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise MissingInputError(
            "LoRA needs peft: install plumbline[transformer], or set model.transformer.lora_rank to 0."
        ) from error
    lora = LoraConfig(
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        target_modules=["qkv", "out"],
    )
    adapted = get_peft_model(encoder, lora)
    device = inputs.numbers.device
    optimiser = torch.optim.AdamW(
        [
            {"params": [each for each in adapted.parameters() if each.requires_grad], "lr": settings.learning_rate},
            {"params": list(head.parameters()), "lr": settings.head_learning_rate},
        ],
        weight_decay=_DECAY,
    )
    batches = _Batches(rows, config, settings.epochs, settings.batch_size, device)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: rate(step, batches.steps))
    scores = np.zeros((0, head.text.out_features), np.float32)
    for epoch in range(1, settings.epochs + 1):
        adapted.train()
        total = 0.0
        for places, codes, weights, show in batches:
            at = torch.from_numpy(places).to(device)
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                embeddings = embed(adapted, *inputs.texts(places, device))
            loss = _loss(head(embeddings, inputs.numbers[at], inputs.categories[at], show), codes, weights)
            total += _step(loss, optimiser, schedule) * len(places)
        adapted.eval()
        with torch.inference_mode():
            scores = head(_embedded(adapted, shown, encoder.shape.width), shown.numbers, shown.categories).cpu().numpy()
        if watch is not None:
            watch(epoch, total / len(rows.codes), scores)
    # The updates were put into `encoder` itself, which has plain layers again now.
    adapted.merge_and_unload()
    return encoder.eval().requires_grad_(False), scores


class _Batches:
    """Shuffled rows of every epoch, with codes, weights, and whose structured features are shown."""

    def __init__(self, rows: Rows, config: ModelSettings, epochs: int, size: int, device: torch.device) -> None:
        self._rows = rows
        self._size = size
        self._hidden = config.structured_dropout
        self._device = device
        self._generator = np.random.default_rng(config.seed)
        self.steps = epochs * math.ceil(len(rows.codes) / size)

    def __iter__(self) -> Iterator[tuple[NDArray[np.int64], Tensor, Tensor, Tensor]]:
        order = self._generator.permutation(len(self._rows.codes))
        shown = self._generator.random((len(order), 1)) >= self._hidden
        for start in range(0, len(order), self._size):
            places = order[start : start + self._size]
            yield (
                places,
                torch.from_numpy(self._rows.codes[places]).to(self._device),
                torch.from_numpy(self._rows.weights[places]).to(self._device),
                torch.from_numpy(shown[places].astype(np.float32)).to(self._device),
            )


def _embedded(encoder: nn.Module, inputs: _Inputs, width: int) -> Tensor:
    """Embeddings of all rows, shape [rows, width]; texts of a length go together."""
    device = inputs.numbers.device
    order = np.argsort([length for _, length in inputs.tokens], kind="stable")
    with torch.inference_mode():
        pieces = [
            embed(encoder, *inputs.texts(order[start : start + _EMBED_ROWS], device))
            for start in range(0, len(order), _EMBED_ROWS)
        ]
    if not pieces:
        return torch.zeros(0, width, device=device)
    # Made without inference mode's marks, since the head's training wants them in its graph.
    embeddings = torch.empty(len(order), pieces[0].shape[1], device=device)
    embeddings[torch.from_numpy(order).to(device)] = torch.cat(pieces)
    return embeddings


def _loss(scores: Tensor, codes: Tensor, weights: Tensor) -> Tensor:
    return (functional.cross_entropy(scores, codes, reduction="none") * weights).mean()


def _step(loss: Tensor, optimiser: torch.optim.Optimizer, schedule: torch.optim.lr_scheduler.LambdaLR) -> float:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    schedule.step()
    return float(loss.detach())


def _device(config: ModelSettings) -> torch.device:
    available = torch.cuda.is_available()
    if config.runtime.device == "cuda" and not available:
        raise SettingsError(
            "model.runtime.device is cuda, and this process sees no GPU. Train where there is one, or set it to auto."
        )
    return torch.device("cuda" if available and config.runtime.device != "cpu" else "cpu")
