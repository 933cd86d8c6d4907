"""Training: it learns, it repeats itself, it takes weak labels, and it refuses what cannot be learnt."""

from __future__ import annotations

from typing import Any

import model_postings as small
import numpy as np
import pandas as pd
import pytest

from plumbline.errors import UserError
from plumbline.model.calibrate import calibration_error, fit_sharpness, log_loss, softmax
from plumbline.model.evaluate import predict
from plumbline.model.train import train


def test_learns_and_reports_each_epoch() -> None:
    seen: list[tuple[int, dict[str, Any]]] = []
    result = small.trained(on_epoch=lambda epoch, figures: seen.append((epoch, figures)))
    assert [epoch for epoch, _ in seen] == [1, 2, 3, 4]
    assert {"loss", "accuracy", "macro_f1", "log_loss"} <= set(seen[-1][1])
    assert seen[-1][1]["loss"] < seen[0][1]["loss"]
    fresh = small.stream(200, seed=5)
    answers = np.array(result.model.labels)[predict(result.model, fresh).argmax(1)]
    assert (answers == fresh["label"]).mean() > 0.88


def test_same_seed_same_model_and_another_seed_another() -> None:
    frame = small.stream(50, seed=3)
    first, again = (predict(small.trained().model, frame) for _ in range(2))
    other = predict(small.trained(config=small.SMALL.model_copy(update={"seed": 8})).model, frame)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_label_terms_teach_what_no_posting_says() -> None:
    terms = pd.DataFrame({"text": ["glazier", "glazier", "astronaut"], "label": ["7", "7", "0"]})
    with_terms = small.trained(label_terms=terms).model
    without = small.trained().model
    record = {"title": "Glazier", "description": ""}
    column = with_terms.labels.index("7")
    assert with_terms.labels == ["2", "5", "7"]
    assert with_terms.metadata["rows"]["terms"] == 2
    assert with_terms.predict_proba([record])[0, column] > without.predict_proba([record])[0, column]


def test_missing_features_count_as_their_defaults() -> None:
    model = small.trained().model
    record = {"title": "Welder", "description": "metal tools"}
    absent = model.predict_proba([record])
    for missing in (None, float("nan")):
        given = {**record, "company_postings_7d": missing, "board_top_label": missing}
        assert np.array_equal(model.predict_proba([given]), absent)
    assert np.array_equal(model.predict_proba([{**record, "company_postings_7d": 0.0, "board_top_label": ""}]), absent)
    assert not np.array_equal(model.predict_proba([{**record, "company_postings_7d": 5.0}]), absent)


def test_absurd_and_unknown_values_do_not_decide() -> None:
    model = small.trained().model
    record = {"title": "Welder", "description": "metal tools", "company_postings_7d": 1e300, "board_top_label": "?"}
    probabilities = model.predict_proba([record])
    assert np.isfinite(probabilities).all()
    assert model.labels[int(probabilities.argmax())] == "7"


def test_without_calibration_rows() -> None:
    frame = small.stream(200)
    result = train(
        frame, frame.iloc[:0], feature_specs=[], label_terms=None, config=small.SMALL.model_copy(update={"deep_dim": 0})
    )
    assert result.model.sharpness == 1.0
    assert result.model.metadata["refit"] is False
    assert "accuracy" not in result.history[-1]


def test_one_class_is_refused() -> None:
    frame = small.stream(50).assign(label="2")
    with pytest.raises(UserError, match="two classes"):
        train(frame, frame.iloc[:0], feature_specs=[], label_terms=None, config=small.SMALL)


def test_sharpness_mends_overconfidence() -> None:
    random = np.random.default_rng(0)
    scores = random.normal(size=(4000, 3))
    shares = softmax(scores).astype(float)
    truth = np.array([random.choice(3, p=row / row.sum()) for row in shares])
    overconfident = scores * 4
    sharpness = fit_sharpness(overconfident, truth)
    assert sharpness == pytest.approx(0.25, rel=0.1)
    assert log_loss(overconfident, truth, sharpness) < log_loss(overconfident, truth)
    assert calibration_error(softmax(overconfident, sharpness), truth) < 0.03


def test_training_calibrates() -> None:
    figures = small.trained(800).model.metadata["calibration"]
    assert figures["ece_after"] < figures["ece_before"]
