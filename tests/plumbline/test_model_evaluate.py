"""Figures against scikit-learn, intervals, slices, plots, and the pyfunc."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import model_postings as small
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, precision_recall_fscore_support

from plumbline.errors import MissingInputError
from plumbline.model.calibrate import calibration_error, reliability
from plumbline.model.classifier import PostingModel
from plumbline.model.evaluate import evaluate, predict
from plumbline.model.metrics import bootstrap, confusion, macro_f1, per_class
from plumbline.model.plots import all_plots
from plumbline.model.train import TrainingResult


@pytest.fixture(scope="module")
def result() -> TrainingResult:
    return small.trained()


@pytest.fixture(scope="module")
def model(result: TrainingResult) -> PostingModel:
    return result.model


def test_figures_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    truth, answers = random.integers(0, 5, 400), random.integers(0, 4, 400)
    answers[:200] = truth[:200]
    figures = per_class(confusion(truth, answers, 6))
    expected = precision_recall_fscore_support(truth, answers, labels=range(6), zero_division=0)
    for name, values in zip(("precision", "recall", "f1", "support"), expected, strict=True):
        assert np.allclose(figures[name], values)
    assert macro_f1(truth, answers, 6) == pytest.approx(f1_score(truth, answers, average="macro"))


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    random = np.random.default_rng(1)
    inside = 0
    for trial in range(200):
        truth = random.integers(0, 3, 300)
        answers = np.where(random.random(300) < 0.8, truth, (truth + 1) % 3)
        low, high = bootstrap(truth, answers, 3, seed=trial)["accuracy"]
        inside += low <= 0.8 <= high
    assert 0.90 <= inside / 200 <= 0.99


def test_summary_is_whole_and_json(model: PostingModel) -> None:
    frame = small.stream(300, seed=9).assign(seen_before=[number % 2 == 0 for number in range(300)])
    frame.loc[0, "label"] = None
    frame.loc[1, "label"] = "9"
    summary = json.loads(json.dumps(evaluate(model, frame, seed=1).summary(), allow_nan=False))
    assert summary["n"] == 299
    low, high = summary["accuracy_interval"]
    assert low <= summary["accuracy"] <= high
    assert set(summary["per_class"]) == {"2", "5", "7", "9"}
    assert summary["per_class"]["9"] == {"precision": 0, "recall": 0, "f1": 0, "support": 1}
    by = {entry["by"] for entry in summary["slices"]}
    assert by == {"board", "language", "has_company", "near_duplicate", "description_words"}
    for name in by:
        assert sum(entry["n"] for entry in summary["slices"] if entry["by"] == name) == 299
    assert sum(bin_["n"] for bin_ in summary["calibration"]["bins"]) == 299
    assert np.sum(summary["confusion"]["counts"]) == 299


def test_no_labels_nothing_to_evaluate(model: PostingModel) -> None:
    with pytest.raises(MissingInputError, match="no labelled rows"):
        evaluate(model, small.stream(5).assign(label=None), seed=1)


def test_calibration_error_by_hand() -> None:
    probabilities = np.array([[0.95, 0.05], [0.95, 0.05], [0.45, 0.55], [0.45, 0.55]])
    truth = np.array([0, 1, 1, 1])
    assert calibration_error(probabilities, truth) == pytest.approx(0.5 * 0.45 + 0.5 * 0.45)
    assert [row["n"] for row in reliability(probabilities, truth)] == [2, 2]


def test_plots_are_png(result: TrainingResult) -> None:
    evaluation = evaluate(result.model, small.stream(100, seed=9), seed=1)
    plots = all_plots(evaluation, result.history)
    assert set(plots) == {"confusion.png", "reliability.png", "class_f1.png", "learning_curve.png"}
    assert all(content.startswith(b"\x89PNG") for content in plots.values())


def test_pyfunc_is_logged_from_code_and_answers(model: PostingModel, tmp_path: Path) -> None:
    import mlflow.pyfunc

    from plumbline.model.mlflow_model import ARTEFACT, signature_and_example

    frame = small.stream(20, seed=4)
    signature, example = signature_and_example(model, frame)
    model.save(tmp_path / "posting_model")
    spec = importlib.util.find_spec("plumbline.model.mlflow_model")
    assert spec is not None
    mlflow.pyfunc.save_model(
        tmp_path / "logged",
        python_model=spec.origin,
        artifacts={ARTEFACT: str(tmp_path / "posting_model")},
        signature=signature,
        input_example=None,
        pip_requirements=["plumbline"],
    )
    assert not list((tmp_path / "logged").rglob("*.pkl"))
    loaded = mlflow.pyfunc.load_model(str(tmp_path / "logged"))
    answers = loaded.predict(frame[list(example.columns)])
    assert list(answers.columns) == ["label", "probability", "p_2", "p_5", "p_7"]
    assert np.allclose(answers[["p_2", "p_5", "p_7"]].to_numpy(), predict(model, frame), atol=1e-6)
    text_only = loaded.predict(pd.DataFrame({"title": ["Welder"], "description": ["metal tools"]}))
    assert text_only["label"].tolist() == ["7"]
