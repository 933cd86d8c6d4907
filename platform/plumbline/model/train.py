"""Training: encode once, fit the network, calibrate, and fit once more with the calibration rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from plumbline.features.schema import FeatureSpec
from plumbline.model.batches import EncodedBatch, join
from plumbline.model.calibrate import calibration_error, fit_sharpness, softmax
from plumbline.model.classifier import PostingModel
from plumbline.model.fitting import Rows, fit
from plumbline.model.frames import Codes, TrainingFrames, feature_records, texts, watched
from plumbline.model.protocol import TrainingResult
from plumbline.model.structured import FeatureEncoder
from plumbline.model.text import TextEncoder, hash_texts, stack
from plumbline.settings.model import ModelSettings

OnEpoch = Callable[[int, dict[str, Any]], None]


def train(
    train: pd.DataFrame,
    calibration: pd.DataFrame,
    *,
    feature_specs: Sequence[FeatureSpec],
    label_terms: pd.DataFrame | None,
    config: ModelSettings,
    on_epoch: OnEpoch | None = None,
) -> TrainingResult:
    """Trains the classifier; see `plumbline.model.protocol.Trainer`.

    The history holds one entry per epoch of the first fit: `epoch`, `loss`, and on the calibration rows `accuracy`,
    `macro_f1`, `log_loss`. Terms of classes that no posting has are left out.

    Raises:
        UserError: There are no rows, or fewer than two classes.
    """
    start = time.monotonic()
    frames = TrainingFrames.read(train, calibration, label_terms, term_weight=config.term_weight)
    labels, codes = frames.labels, frames.codes
    corpus = _Corpus.read(frames, feature_specs, config)

    first = fit(
        _rows(corpus, codes, (0, 2), config),
        text=corpus.text,
        features=corpus.features,
        classes=len(labels),
        config=config,
        watch=_watch(corpus.encoded[1], codes[1], on_epoch),
    )
    scores = first.scores(corpus.encoded[1]) if len(codes[1]) else np.zeros((0, len(labels)), np.float32)
    sharpness = fit_sharpness(scores, codes[1])
    network, history = first.network, first.history
    if config.refit and len(codes[1]):
        network = fit(
            _rows(corpus, codes, (0, 1, 2), config),
            text=corpus.text,
            features=corpus.features,
            classes=len(labels),
            config=config,
        ).network
    metadata = {
        **frames.facts(),
        "config": config.model_dump(),
        "refit": bool(config.refit and len(codes[1])),
        "vocabulary": corpus.text.sizes,
        "calibration": {
            "sharpness": sharpness,
            "ece_before": calibration_error(softmax(scores), codes[1]),
            "ece_after": calibration_error(softmax(scores, sharpness), codes[1]),
        },
        "seconds": round(time.monotonic() - start, 2),
    }
    model = PostingModel(
        labels=labels,
        text=corpus.text,
        features=corpus.features,
        network=network,
        sharpness=sharpness,
        metadata=metadata,
    )
    return TrainingResult(model, history)


@dataclass(frozen=True)
class _Corpus:
    """Training rows, calibration rows and terms, encoded once."""

    text: TextEncoder
    features: FeatureEncoder
    encoded: list[EncodedBatch]

    @classmethod
    def read(cls, frames: TrainingFrames, specs: Sequence[FeatureSpec], config: ModelSettings) -> _Corpus:
        parts = [hash_texts(texts(part, "title"), texts(part, "description")) for part in frames.parts]
        # Weights of n-grams come from postings and terms that are trained on; the calibration rows stay unseen.
        text = TextEncoder.fit(stack([parts[0], parts[2]]), min_count=config.min_count)
        records = [feature_records(part, specs) for part in frames.parts]
        features = FeatureEncoder.fit(specs, records[0])
        encoded = [
            EncodedBatch(text.encode_hashed(hashed), features.encode(rows))
            for hashed, rows in zip(parts, records, strict=True)
        ]
        return cls(text, features, encoded)


def _rows(corpus: _Corpus, codes: Sequence[Codes], parts: tuple[int, ...], config: ModelSettings) -> Rows:
    weights = [np.full(len(codes[part]), config.term_weight if part == 2 else 1.0, np.float32) for part in parts]
    return Rows(
        join([corpus.encoded[part] for part in parts]),
        np.concatenate([codes[part] for part in parts]),
        np.concatenate(weights),
    )


def _watch(
    encoded: EncodedBatch, truth: Codes, on_epoch: OnEpoch | None
) -> Callable[[int, float, Callable[[EncodedBatch], NDArray[np.float32]]], dict[str, Any]]:
    def watch(epoch: int, loss: float, score: Callable[[EncodedBatch], NDArray[np.float32]]) -> dict[str, Any]:
        figures: dict[str, Any] = {"loss": loss}
        if len(truth):
            figures |= watched(score(encoded), truth)
        if on_epoch is not None:
            on_epoch(epoch, figures)
        return {"epoch": epoch, **figures}

    return watch
