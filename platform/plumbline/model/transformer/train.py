"""Training of the sentence transformer: its head on embeddings, or head and attention layers together (LoRA)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from plumbline.features.schema import FeatureSpec
from plumbline.model.calibrate import calibration_error, fit_sharpness, softmax
from plumbline.model.frames import TrainingFrames, feature_records, texts, watched
from plumbline.model.protocol import TrainingResult
from plumbline.model.structured import FeatureEncoder
from plumbline.model.transformer.artefact import Parts
from plumbline.model.transformer.classifier import EncodedPostings, TransformerModel
from plumbline.model.transformer.fitting import Fitted, Rows, fit
from plumbline.model.transformer.pretrained import pretrained
from plumbline.model.transformer.tokens import PostingTokenizer
from plumbline.settings.model import ModelSettings

OnEpoch = Callable[[int, dict[str, Any]], None]

_TRAIN, _CALIBRATION, _TERMS = 0, 1, 2


def train(
    train: pd.DataFrame,
    calibration: pd.DataFrame,
    *,
    feature_specs: Sequence[FeatureSpec],
    label_terms: pd.DataFrame | None,
    config: ModelSettings,
    on_epoch: OnEpoch | None = None,
) -> TrainingResult:
    """Trains the classifier; see `plumbline.model.protocol.Trainer`, and `model.transformer` for what can be set.

    Splits, weights of rows, calibration and the second fit (`model.refit`) are those of `plumbline.model.train`.

    Raises:
        UserError: There are no rows, or fewer than two classes.
        MissingInputError: There is no pretrained encoder, or peft, which LoRA needs, is not installed.
    """
    start = time.monotonic()
    frames = TrainingFrames.read(train, calibration, label_terms, term_weight=config.term_weight)
    source = pretrained(config.transformer.folder)
    limit = min(config.transformer.max_tokens, source.encoder.shape.positions)
    tokenizer = PostingTokenizer(source.tokenizer, max_tokens=limit)
    records = [feature_records(part, feature_specs) for part in frames.parts]
    features = FeatureEncoder.fit(feature_specs, records[_TRAIN])
    encoded = [
        EncodedPostings(tokenizer.encode(texts(part, "title"), texts(part, "description")), features.encode(rows))
        for part, rows in zip(frames.parts, records, strict=True)
    ]

    def rows(*parts: int) -> Rows:
        weights = [np.full(len(encoded[part]), config.term_weight if part == _TERMS else 1.0) for part in parts]
        return Rows(
            [encoded[part] for part in parts],
            np.concatenate([frames.codes[part] for part in parts]),
            np.concatenate(weights).astype(np.float32),
        )

    def fitted(fit_rows: Rows, watch: Callable[[int, float, NDArray[np.float32]], None] | None) -> Fitted:
        return fit(
            source.encoder,
            fit_rows,
            classes=len(frames.labels),
            features=features,
            config=config,
            watched=encoded[_CALIBRATION],
            watch=watch,
        )

    history: list[dict[str, Any]] = []

    def watch(epoch: int, loss: float, scores: NDArray[np.float32]) -> None:
        figures = {"loss": loss, **(watched(scores, frames.codes[_CALIBRATION]) if len(scores) else {})}
        history.append({"epoch": epoch, **figures})
        if on_epoch is not None:
            on_epoch(epoch, figures)

    first = fitted(rows(_TRAIN, _TERMS), watch)
    codes = frames.codes[_CALIBRATION]
    sharpness = fit_sharpness(first.scores, codes)
    refit = bool(config.refit and len(codes))
    final = fitted(rows(_TRAIN, _CALIBRATION, _TERMS), None) if refit else first
    metadata = {
        **frames.facts(),
        "config": config.model_dump(mode="json"),
        "encoder": source.name,
        "refit": refit,
        "calibration": {
            "sharpness": sharpness,
            "ece_before": calibration_error(softmax(first.scores), codes),
            "ece_after": calibration_error(softmax(first.scores, sharpness), codes),
        },
        "device": str(final.device),
        "seconds": round(time.monotonic() - start, 2),
    }
    parts = Parts(
        labels=frames.labels,
        tokenizer=tokenizer,
        encoder=final.encoder.to("cpu", torch.float32),
        head=final.head.to("cpu"),
        features=features,
        buckets=(*(size for size in config.transformer.buckets if size < limit), limit),
        sharpness=sharpness,
        metadata=metadata,
    )
    return TrainingResult(TransformerModel(parts, config.runtime), history)
