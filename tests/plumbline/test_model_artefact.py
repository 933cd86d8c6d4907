"""The model's folder: whole, plain, checked when it is read."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import model_postings as small
import numpy as np
import pytest

from plumbline.errors import IntegrityError, MissingInputError, SettingsError
from plumbline.features.schema import FeatureSpec
from plumbline.model.classifier import PostingModel
from plumbline.model.protocol import TextClassifier, load_model, model_class


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "posting_model"
    small.trained().model.save(path)
    return path


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def test_comes_back_as_it_was(folder: Path) -> None:
    model = small.trained().model
    loaded = load_model(folder)
    records = small.stream(40, seed=2).to_dict("records")
    assert isinstance(loaded, PostingModel)
    assert isinstance(loaded, TextClassifier)
    assert loaded.labels == model.labels
    assert loaded.feature_specs == small.SPECS
    assert loaded.metadata["rows"] == model.metadata["rows"]
    assert np.array_equal(loaded.predict_proba(records), model.predict_proba(records))


def test_batches_and_single_records_agree(folder: Path) -> None:
    model = load_model(folder)
    records = small.stream(16, seed=2).to_dict("records")
    batch = model.encode(records)
    assert len(batch) == 16
    together = model.forward(batch)
    alone = np.concatenate([model.predict_proba([record]) for record in records])
    assert together.shape == (16, 3)
    assert np.allclose(together.sum(1), 1, atol=1e-5)
    assert np.allclose(together, alone, atol=1e-5)


def test_no_records_no_answers(folder: Path) -> None:
    model = load_model(folder)
    assert model.predict_proba([]).shape == (0, 3)


def test_empty_texts_are_answered(folder: Path) -> None:
    assert np.isfinite(load_model(folder).predict_proba([{"title": "", "description": None}, {}])).all()


def test_holds_plain_files_only(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "weights.safetensors"]


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no model"):
        load_model(tmp_path)


def test_weights_are_missing(copy: Path) -> None:
    (copy / "weights.safetensors").unlink()
    with pytest.raises(MissingInputError, match="weights"):
        load_model(copy)


def test_cut_weights(copy: Path) -> None:
    weights = copy / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(IntegrityError, match="damaged"):
        load_model(copy)


@pytest.mark.parametrize(
    ("key", "value"),
    [("format", 99), ("ngrams", 0), ("labels", ["2", "5"]), ("shapes", {}), ("network", {"deep_dim": 3})],
)
def test_configuration_that_does_not_fit(copy: Path, key: str, value: Any) -> None:
    config = copy / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), key: value}))
    with pytest.raises(IntegrityError):
        load_model(copy)


@pytest.mark.parametrize("text", ["{", "[]"])
def test_configuration_that_is_no_json_object(copy: Path, text: str) -> None:
    (copy / "config.json").write_text(text)
    with pytest.raises(IntegrityError, match="no JSON object"):
        load_model(copy)


class OwnModel:
    """A model that a user could bring: answers by the title's length."""

    def __init__(self) -> None:
        self.labels = ["long", "short"]
        self.feature_specs: list[FeatureSpec] = []
        self.metadata: dict[str, Any] = {}

    @classmethod
    def load(cls, path: Path) -> Self:
        return cls()

    def save(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        (path / "config.json").write_text(json.dumps({"class_path": "own_models:OwnModel"}))

    def encode(self, records: Sequence[Any]) -> list[int]:
        return [len(str(record["title"])) for record in records]

    def forward(self, batch: list[int]) -> np.ndarray:
        return np.array([[1.0, 0.0] if size > 10 else [0.0, 1.0] for size in batch], dtype=np.float32)

    def predict_proba(self, records: Sequence[Any]) -> np.ndarray:
        return self.forward(self.encode(records))


def test_a_model_of_ones_own_takes_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("own_models")
    module.OwnModel = OwnModel  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "own_models", module)
    OwnModel().save(tmp_path)
    model = load_model(tmp_path)
    assert isinstance(model, TextClassifier)
    assert model.predict_proba([{"title": "Welder"}]).tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize(
    ("path", "text"), [("nowhere.at.all:Model", "there is no module nowhere"), ("json:JSONDecoder", "has no load")]
)
def test_a_class_that_is_no_model(path: str, text: str) -> None:
    with pytest.raises(SettingsError, match=text):
        model_class(path)
