"""The posting classifier on a sentence transformer: tokenizer, encoder, head and calibration in one artefact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from plumbline.features.schema import FeatureSpec
from plumbline.model.calibrate import softmax
from plumbline.model.protocol import Record
from plumbline.model.structured import EncodedFeatures
from plumbline.model.transformer import artefact
from plumbline.model.transformer.device import DeviceEncoder
from plumbline.model.transformer.tokens import Tokens
from plumbline.settings.model import RuntimeSettings


@dataclass(frozen=True)
class EncodedPostings:
    """Pre-processed records: plain arrays on the CPU."""

    tokens: Tokens
    features: EncodedFeatures

    def __len__(self) -> int:
        return len(self.tokens)


class TransformerModel:
    """A `TextClassifier` on a sentence transformer and structured features. Immutable; safe between threads."""

    def __init__(self, parts: artefact.Parts, runtime: RuntimeSettings | None = None) -> None:
        """Args:
        parts: What the model consists of.
        runtime: Where it computes; None: on this process's GPU, or the CPU if it sees none.

        Raises:
            SettingsError: A GPU was asked for, and there is none.
        """
        self._parts = parts
        self._device = DeviceEncoder(parts.encoder, parts.buckets, runtime or RuntimeSettings())
        self._head = parts.head.eval().requires_grad_(False)

    @classmethod
    def load(cls, path: Path, runtime: RuntimeSettings | None = None) -> Self:
        """See `TextClassifier.load`; `runtime` says where it computes."""
        return cls(artefact.read(Path(path)), runtime)

    def save(self, path: Path) -> None:
        """See `TextClassifier.save`."""
        artefact.write(Path(path), self._parts, class_path=f"{type(self).__module__}:{type(self).__qualname__}")

    @property
    def labels(self) -> list[str]:
        """Classes, in the order of the probabilities' columns."""
        return list(self._parts.labels)

    @property
    def feature_specs(self) -> list[FeatureSpec]:
        """Features that the model was trained with."""
        return list(self._parts.features.specs)

    @property
    def metadata(self) -> dict[str, Any]:
        """JSON-able facts of the training."""
        return dict(self._parts.metadata)

    @property
    def device(self) -> DeviceEncoder:
        """Where the encoder computes, in what type, and whether its kernels are recorded."""
        return self._device

    def encode(self, records: Sequence[Record]) -> EncodedPostings:
        """Tokenizes texts and encodes features, on the CPU."""
        titles = [str(record.get("title") or "") for record in records]
        descriptions = [str(record.get("description") or "") for record in records]
        return EncodedPostings(self._parts.tokenizer.encode(titles, descriptions), self._parts.features.encode(records))

    def scores(self, batch: EncodedPostings) -> NDArray[np.float32]:
        """Scores before calibration, shape [records, classes]."""
        embeddings = torch.from_numpy(self._device.embed(batch.tokens))
        with torch.inference_mode():
            numbers, categories = torch.from_numpy(batch.features.numbers), torch.from_numpy(batch.features.categories)
            scores: NDArray[np.float32] = self._head(embeddings, numbers, categories).numpy()
        return scores

    def forward(self, batch: EncodedPostings) -> NDArray[np.float32]:
        """Calibrated probabilities, shape [records, classes]."""
        return softmax(self.scores(batch), self._parts.sharpness)

    def predict_proba(self, records: Sequence[Record]) -> NDArray[np.float32]:
        """`forward(encode(records))`."""
        return self.forward(self.encode(records))
