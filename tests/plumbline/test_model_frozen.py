"""The arithmetic of serving against the network that was trained."""

from __future__ import annotations

from pathlib import Path

import model_postings as small
import numpy as np
import pytest
import torch

from plumbline.features.schema import FeatureSpec
from plumbline.model.batches import tensors
from plumbline.model.classifier import PostingModel
from plumbline.model.protocol import load_model


def _classifier(deep_dim: int = 4, specs: list[FeatureSpec] | None = None, min_count: int = 2) -> PostingModel:
    config = small.SMALL.model_copy(update={"deep_dim": deep_dim, "min_count": min_count, "epochs": 1})
    model = small.trained(120, config=config, feature_specs=small.SPECS if specs is None else specs).model
    assert isinstance(model, PostingModel)
    return model


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(_classifier, id="whole"),
        pytest.param(lambda: _classifier(deep_dim=0), id="without a deep part"),
        pytest.param(lambda: _classifier(specs=[]), id="without features"),
        pytest.param(lambda: _classifier(specs=small.SPECS[1:]), id="without numbers"),
        pytest.param(lambda: _classifier(min_count=10_000), id="without a vocabulary"),
    ],
)
def test_scores_are_the_networks(model, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    classifier: PostingModel = model()
    classifier.save(tmp_path)
    loaded = load_model(tmp_path)
    assert isinstance(loaded, PostingModel)
    for count in (0, 1, 3, 64):
        batch = classifier.encode(small.stream(count, seed=4).to_dict("records") if count else [])
        with torch.inference_mode():
            expected = classifier.network(*tensors(batch)).numpy()
        scores = classifier.scores(batch)
        assert scores.shape == (count, 3)
        assert np.allclose(scores, expected, atol=1e-5)
        assert np.array_equal(loaded.scores(batch), scores)


def test_what_serving_encodes_is_what_training_encoded() -> None:
    """Values of whatever kind a store brings: None, NaN, whole numbers, text."""
    model = _classifier()
    odd = [None, float("nan"), 3, 3.0, True, "3", 0]
    numbers = model.encode([{"company_postings_7d": value} for value in odd]).features.numbers[:, 0]
    assert numbers[[0, 1, 6]].tolist() == [0.0] * 3
    assert len(set(numbers[[2, 3, 5]].tolist())) == 1
    with pytest.raises(ValueError, match="could not convert"):
        model.encode([{"company_postings_7d": "many"}])
