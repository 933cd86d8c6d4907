"""Training: encode once, fit the network, calibrate, and fit once more with the calibration rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from plumbline.errors import UserError
from plumbline.features.schema import FeatureSpec
from plumbline.model.batches import EncodedBatch, join
from plumbline.model.calibrate import calibration_error, fit_sharpness, log_loss, softmax
from plumbline.model.classifier import PostingModel
from plumbline.model.fitting import Rows, fit
from plumbline.model.metrics import macro_f1
from plumbline.model.protocol import TrainingResult
from plumbline.model.structured import FeatureEncoder
from plumbline.model.text import HashedTexts, TextEncoder, hash_texts, stack
from plumbline.settings.model import ModelSettings

OnEpoch = Callable[[int, dict[str, Any]], None]
Codes = NDArray[np.int64]

_LEAST_CLASSES: Final = 2


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
    labels = sorted({str(label) for label in train["label"]})
    if len(labels) < _LEAST_CLASSES:
        raise UserError(
            f"Training needs rows of two classes at least; there are {len(train)} rows of {len(labels)} classes. "
            "Choose a later instant, or a smaller evaluation window."
        )
    index = {label: code for code, label in enumerate(labels)}
    # A class that only the calibration rows have cannot be learnt from the training rows.
    calibration = calibration[calibration["label"].astype(str).isin(index)]
    terms = _known_terms(label_terms, index, config.term_weight)
    corpus = _Corpus.read(train, calibration, terms, feature_specs, config)
    codes = [_codes(part, index) for part in (train, calibration, terms)]

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
        "rows": {"train": len(train), "calibration": len(calibration), "terms": len(terms)},
        "config": config.model_dump(),
        "refit": bool(config.refit and len(codes[1])),
        "vocabulary": corpus.text.sizes,
        "calibration": {
            "sharpness": sharpness,
            "ece_before": calibration_error(softmax(scores), codes[1]),
            "ece_after": calibration_error(softmax(scores, sharpness), codes[1]),
        },
        "train_until": _last(train),
        "calibration_until": _last(calibration),
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
    def read(
        cls,
        train: pd.DataFrame,
        calibration: pd.DataFrame,
        terms: pd.DataFrame,
        specs: Sequence[FeatureSpec],
        config: ModelSettings,
    ) -> _Corpus:
        parts = [_hash(part) for part in (train, calibration, terms)]
        # Weights of n-grams come from postings and terms that are trained on; the calibration rows stay unseen.
        text = TextEncoder.fit(stack([parts[0], parts[2]]), min_count=config.min_count)
        records = [_records(part, specs) for part in (train, calibration, terms)]
        features = FeatureEncoder.fit(specs, records[0])
        encoded = [
            EncodedBatch(text.encode_hashed(texts), features.encode(rows))
            for texts, rows in zip(parts, records, strict=True)
        ]
        return cls(text, features, encoded)


def _hash(frame: pd.DataFrame) -> HashedTexts:
    return hash_texts(_texts(frame, "title"), _texts(frame, "description"))


def _texts(frame: pd.DataFrame, column: str) -> list[str]:
    return frame[column].fillna("").astype(str).tolist()


def _records(frame: pd.DataFrame, specs: Sequence[FeatureSpec]) -> list[dict[str, Any]]:
    columns = [spec.name for spec in specs if spec.name in frame.columns]
    # A frame without columns would lose its rows here.
    records: list[dict[Any, Any]] = frame[columns].to_dict("records") if columns else [{} for _ in range(len(frame))]
    return records


def _known_terms(label_terms: pd.DataFrame | None, index: dict[str, int], weight: float) -> pd.DataFrame:
    empty = pd.DataFrame({"title": [], "description": [], "label": []}, dtype=object)
    if label_terms is None or not weight:
        return empty
    known = label_terms[label_terms["label"].astype(str).isin(index)]
    return (
        pd.DataFrame(
            {"title": known["text"].astype(str).to_numpy(), "description": "", "label": known["label"].to_numpy()}
        )
        if len(known)
        else empty
    )


def _codes(frame: pd.DataFrame, index: dict[str, int]) -> Codes:
    return np.array([index[str(label)] for label in frame["label"]], dtype=np.int64)


def _rows(corpus: _Corpus, codes: list[Codes], parts: tuple[int, ...], config: ModelSettings) -> Rows:
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
            scores = score(encoded)
            figures["accuracy"] = float((scores.argmax(1) == truth).mean())
            figures["macro_f1"] = macro_f1(truth, scores.argmax(1), scores.shape[1])
            figures["log_loss"] = log_loss(scores, truth, fit_sharpness(scores, truth))
        if on_epoch is not None:
            on_epoch(epoch, figures)
        return {"epoch": epoch, **figures}

    return watch


def _last(frame: pd.DataFrame) -> str | None:
    if "event_timestamp" not in frame.columns or frame.empty:
        return None
    return str(pd.Timestamp(frame["event_timestamp"].max()).isoformat())
